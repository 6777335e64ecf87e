/*
 * Where the main thread's stack lies, for a root without /proc. glibc reads that from /proc/self/maps and fails when
 * there is none, and Bun's runtime then aborts at start. Put into the executable by ../graft.ts; its calls of
 * pthread_getattr_np go through here. musl needs no such help.
 */
typedef unsigned long size_t;
_Static_assert(sizeof(size_t) == 8, "x86-64 only");

/* As glibc lays it out: the stack grows down from `top`. */
struct attributes {
  int priority, policy, flags;
  size_t guard;
  char *top;
  size_t size;
  size_t rest[2];
};
struct limit {
  size_t soft, hard;
};

/* Functions of libc, reached through the slots that the runtime's own imports fill. The linker gives the addresses. */
extern int (*const slot_pthread_getattr_np)(size_t, struct attributes *);
extern int (*const slot_pthread_attr_init)(struct attributes *);
extern int (*const slot_getrlimit)(int, struct limit *);

static long mincore(char *page, size_t length, unsigned char *answer) {
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(27L), "D"(page), "S"(length), "d"(answer)
                   : "rcx", "r11", "memory");
  return result;
}

int getattr_anywhere(size_t thread, struct attributes *attributes) {
  int failure = slot_pthread_getattr_np(thread, attributes);
  if (failure != 2 /* no such file */) return failure;

  /* Only for the main thread is a file asked, and only by itself: its stack is where we are. */
  char *top = (char *)((size_t)__builtin_frame_address(0) & ~4095UL) + 4096;
  unsigned char answer;
  while (mincore(top, 4096, &answer) == 0) top += 4096;
  struct limit limit;
  size_t size = 8UL << 20;
  if (slot_getrlimit(3 /* stack */, &limit) == 0 && limit.soft < (1UL << 40)) size = limit.soft & ~4095UL;
  failure = slot_pthread_attr_init(attributes);
  if (failure != 0) return failure;
  attributes->top = top;
  attributes->size = size;
  return 0;
}
