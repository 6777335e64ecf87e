/*
 * The parts of libstdc++ that Bun's musl runtime asks for, so that the executable needs musl's libc and nothing else
 * (a bare Alpine has no libstdc++). Built freestanding, without data of its own, and put into the executable by
 * ../graft.ts. Names are the mangled ones of the Itanium C++ ABI; layouts are libstdc++'s.
 *
 * The runtime is compiled without exceptions, so whatever throws ends the process.
 */
typedef unsigned long size_t;
typedef unsigned char byte;
_Static_assert(sizeof(size_t) == 8, "x86-64 only");

#define NAMED(mangled) __asm__(mangled) __attribute__((used))

struct timespec {
  long seconds, nanoseconds;
};

/* Functions of libc, reached through the slots that the runtime's own imports fill. The linker gives the addresses. */
extern void (*const slot_abort)(void) __attribute__((noreturn));
extern long (*const slot_write)(int, const void *, size_t);
extern int (*const slot_clock_gettime)(int, struct timespec *);
extern int (*const slot_pthread_cond_init)(void *, const void *);
extern int (*const slot_pthread_cond_destroy)(void *);
extern int (*const slot_pthread_cond_wait)(void *, void *);
extern int (*const slot_pthread_cond_signal)(void *);
extern int (*const slot_pthread_cond_broadcast)(void *);
/* The kinds of type_info are told apart by their tables of functions. The runtime reserves room for these. */
extern char table_vmi_class_type_info[], table_si_class_type_info[];
/* thread_once_call, used below: where std::call_once keeps what to call, relative to the thread pointer. */

/* ---- The end ---- */

static __attribute__((noreturn)) void die(const char *what) {
  size_t length = 0;
  while (what[length] != 0) length++;
  slot_write(2, what, length);
  slot_write(2, "\n", 1);
  slot_abort();
}

void throw_length_error(const char *what) NAMED("_ZSt20__throw_length_errorPKc");
void throw_length_error(const char *what) { die(what); }
void throw_logic_error(const char *what) NAMED("_ZSt19__throw_logic_errorPKc");
void throw_logic_error(const char *what) { die(what); }
void throw_out_of_range_fmt(const char *format, ...) NAMED("_ZSt24__throw_out_of_range_fmtPKcz");
void throw_out_of_range_fmt(const char *format, ...) { die(format); }
void throw_bad_array_new_length(void) NAMED("_ZSt28__throw_bad_array_new_lengthv");
void throw_bad_array_new_length(void) { die("std::bad_array_new_length"); }
void throw_bad_alloc(void) NAMED("_ZSt17__throw_bad_allocv");
void throw_bad_alloc(void) { die("std::bad_alloc"); }
void throw_bad_function_call(void) NAMED("_ZSt25__throw_bad_function_callv");
void throw_bad_function_call(void) { die("std::bad_function_call"); }
void throw_system_error(int code) NAMED("_ZSt20__throw_system_errori");
void throw_system_error(int code) { die("std::system_error"); }
void assert_fail(const char *file, int line, const char *function, const char *condition)
  NAMED("_ZSt21__glibcxx_assert_failPKciS0_S0_");
void assert_fail(const char *file, int line, const char *function, const char *condition) { die(condition); }
void bad_typeid(void) NAMED("__cxa_bad_typeid");
void bad_typeid(void) { die("std::bad_typeid"); }
void pure_virtual(void) NAMED("__cxa_pure_virtual");
void pure_virtual(void) { die("pure virtual method called"); }
void terminate(void) NAMED("_ZSt9terminatev");
void terminate(void) { die("terminate called"); }

/* Keeping a handler would need memory of our own; ours says what happened and aborts, which the runtime reports. */
typedef void (*handler)(void);
handler set_terminate(handler new) NAMED("_ZSt13set_terminatePFvvE");
handler set_terminate(handler new) { return 0; }
handler get_new_handler(void) NAMED("_ZSt15get_new_handlerv");
handler get_new_handler(void) { return 0; }

/* Only makes names in crash reports pleasant. */
char *demangle(const char *name, char *buffer, size_t *length, int *status) NAMED("__cxa_demangle");
char *demangle(const char *name, char *buffer, size_t *length, int *status) {
  if (status != 0) *status = -2;
  return 0;
}

/* ---- Initialisation, once ---- */

enum { done = 1, running = 1 << 8, awaited = 1 << 16 };

static long futex(int *word, int operation, int value) {
  long result;
  register long timeout __asm__("r10") = 0;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(202L), "D"(word), "S"((long)operation), "d"((long)value), "r"(timeout)
                   : "rcx", "r11", "memory");
  return result;
}

/* A guard is 8 bytes; compiled code reads its first, which must become 1 when the variable is made. */
int guard_acquire(int *guard) NAMED("__cxa_guard_acquire");
int guard_acquire(int *guard) {
  int seen = 0;
  while (!__atomic_compare_exchange_n(guard, &seen, running, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    if (seen & done) return 0;
    if (!(seen & awaited) &&
        !__atomic_compare_exchange_n(guard, &seen, seen | awaited, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
      seen = 0;
      continue;
    }
    futex(guard, 128 /* wait, private */, running | awaited);
    seen = 0;
  }
  return 1;
}

void guard_release(int *guard) NAMED("__cxa_guard_release");
void guard_release(int *guard) {
  if (__atomic_exchange_n(guard, done, __ATOMIC_ACQ_REL) & awaited) futex(guard, 129 /* wake, private */, 0x7fffffff);
}

void once_proxy(void) NAMED("__once_proxy");
void once_proxy(void) {
  void (*call)(void);
  __asm__("movq %%fs:thread_once_call, %0" : "=r"(call));
  call();
}

/* ---- dynamic_cast ---- */

struct type {
  char *table;
  const char *name;
};
struct si_type {
  struct type self;
  const struct type *base;
};
struct vmi_type {
  struct type self;
  unsigned flags, count;
  struct {
    const struct type *base;
    long offset_and_flags;
  } bases[];
};

/* What is known while walking over all public bases of the whole object. */
struct search {
  const void *source;
  const struct type *source_type, *wanted_type;
  /* Objects of the wanted type: how many, the last, and the one that holds the source. */
  int count;
  const void *any, *holder;
};

static _Bool same(const struct type *a, const struct type *b) { return a == b || a->name == b->name; }

static void walk(struct search *search, const void *object, const struct type *type, const void *holder) {
  if (same(type, search->wanted_type)) {
    if (search->any != object) search->count++;
    search->any = holder = object;
  }
  if (object == search->source && same(type, search->source_type) && holder != 0) search->holder = holder;
  if (type->table == table_si_class_type_info + 16) {
    walk(search, object, ((const struct si_type *)type)->base, holder);
  } else if (type->table == table_vmi_class_type_info + 16) {
    const struct vmi_type *many = (const struct vmi_type *)type;
    for (unsigned index = 0; index < many->count; index++) {
      long flags = many->bases[index].offset_and_flags, offset = flags >> 8;
      if (!(flags & 2 /* public */)) continue;
      if (flags & 1 /* virtual */) offset = *(const long *)(*(const char *const *)object + offset);
      walk(search, (const char *)object + offset, many->bases[index].base, holder);
    }
  }
}

const void *dynamic_cast(const void *source, const struct type *from, const struct type *to, long hint)
  NAMED("__dynamic_cast");
const void *dynamic_cast(const void *source, const struct type *from, const struct type *to, long hint) {
  const long *table = *(const long *const *)source;
  struct search search = {source, from, to, 0, 0, 0};
  walk(&search, (const char *)source + table[-2], (const struct type *)table[-1], 0);
  if (search.holder != 0) return search.holder;
  return search.count == 1 ? search.any : 0;
}

/* ---- Time and waiting ---- */

long steady_clock_now(void) NAMED("_ZNSt6chrono3_V212steady_clock3nowEv");
long steady_clock_now(void) {
  struct timespec now;
  slot_clock_gettime(1 /* monotonic */, &now);
  return now.seconds * 1000000000 + now.nanoseconds;
}

struct unique_lock {
  void *mutex;
  _Bool owns;
};

void condition_make(void *condition) NAMED("_ZNSt18condition_variableC1Ev");
void condition_make(void *condition) { slot_pthread_cond_init(condition, 0); }
void condition_end(void *condition) NAMED("_ZNSt18condition_variableD1Ev");
void condition_end(void *condition) { slot_pthread_cond_destroy(condition); }
void condition_wait(void *condition, struct unique_lock *lock)
  NAMED("_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE");
void condition_wait(void *condition, struct unique_lock *lock) { slot_pthread_cond_wait(condition, lock->mutex); }
void condition_notify_one(void *condition) NAMED("_ZNSt18condition_variable10notify_oneEv");
void condition_notify_one(void *condition) { slot_pthread_cond_signal(condition); }
void condition_notify_all(void *condition) NAMED("_ZNSt18condition_variable10notify_allEv");
void condition_notify_all(void *condition) { slot_pthread_cond_broadcast(condition); }

/* ---- Lists ---- */

struct list_node {
  struct list_node *next, *previous;
};

void list_hook(struct list_node *self, struct list_node *position) NAMED("_ZNSt8__detail15_List_node_base7_M_hookEPS0_");
void list_hook(struct list_node *self, struct list_node *position) {
  self->next = position;
  self->previous = position->previous;
  position->previous->next = self;
  position->previous = self;
}

void list_unhook(struct list_node *self) NAMED("_ZNSt8__detail15_List_node_base9_M_unhookEv");
void list_unhook(struct list_node *self) {
  self->previous->next = self->next;
  self->next->previous = self->previous;
}

/* ---- Hash tables ---- */

size_t hash_bytes(const void *bytes, size_t length, size_t seed) NAMED("_ZSt11_Hash_bytesPKvmm");
size_t hash_bytes(const void *bytes, size_t length, size_t seed) {
  const size_t prime = 0x9e3779b97f4a7c15;
  const byte *at = bytes;
  size_t hash = seed ^ (length * prime);
  for (; length >= 8; length -= 8, at += 8) {
    size_t word;
    __builtin_memcpy(&word, at, 8);
    hash = (hash ^ word) * prime;
    hash ^= hash >> 32;
  }
  for (; length > 0; length--, at++) {
    hash = (hash ^ *at) * prime;
    hash ^= hash >> 32;
  }
  hash *= prime;
  return hash ^ (hash >> 29);
}

struct rehash_policy {
  float max_load;
  size_t next_resize;
};

static int is_prime(size_t odd) {
  for (size_t divisor = 3; divisor * divisor <= odd; divisor += 2)
    if (odd % divisor == 0) return 0;
  return 1;
}

size_t next_buckets(struct rehash_policy *self, size_t wanted)
  NAMED("_ZNKSt8__detail20_Prime_rehash_policy11_M_next_bktEm");
size_t next_buckets(struct rehash_policy *self, size_t wanted) {
  if (wanted == 0) return 1;
  size_t buckets = wanted <= 2 ? 2 : wanted | 1;
  while (buckets > 2 && !is_prime(buckets)) buckets += 2;
  self->next_resize = (size_t)(buckets * (double)self->max_load);
  return buckets;
}

struct rehash {
  _Bool needed;
  size_t buckets;
};

struct rehash need_rehash(struct rehash_policy *self, size_t buckets, size_t elements, size_t more)
  NAMED("_ZNKSt8__detail20_Prime_rehash_policy14_M_need_rehashEmmm");
struct rehash need_rehash(struct rehash_policy *self, size_t buckets, size_t elements, size_t more) {
  if (elements + more <= self->next_resize) return (struct rehash){0, 0};
  size_t expected = elements + more;
  if (self->next_resize == 0 && expected < 11) expected = 11;
  double least = expected / (double)self->max_load;
  if (least >= buckets) {
    size_t wanted = (size_t)least + 1;
    return (struct rehash){1, next_buckets(self, wanted > buckets * 2 ? wanted : buckets * 2)};
  }
  self->next_resize = (size_t)(buckets * (double)self->max_load);
  return (struct rehash){0, 0};
}

/* ---- Ordered trees: red-black, the header node holds root (parent), leftmost (left) and rightmost (right) ---- */

enum color { red, black };
struct node {
  enum color color;
  struct node *parent, *left, *right;
};

struct node *tree_increment(struct node *at) NAMED("_ZSt18_Rb_tree_incrementPSt18_Rb_tree_node_base");
struct node *tree_increment(struct node *at) {
  if (at->right != 0) {
    at = at->right;
    while (at->left != 0) at = at->left;
    return at;
  }
  struct node *parent = at->parent;
  while (at == parent->right) {
    at = parent;
    parent = parent->parent;
  }
  /* From the root without a right child, `at` is already the header. */
  return at->right != parent ? parent : at;
}

struct node *tree_decrement(struct node *at) NAMED("_ZSt18_Rb_tree_decrementPSt18_Rb_tree_node_base");
struct node *tree_decrement(struct node *at) {
  /* The header is red and its own grandparent: before the end lies the rightmost. */
  if (at->color == red && at->parent->parent == at) return at->right;
  if (at->left != 0) {
    at = at->left;
    while (at->right != 0) at = at->right;
    return at;
  }
  struct node *parent = at->parent;
  while (at == parent->left) {
    at = parent;
    parent = parent->parent;
  }
  return parent;
}

/* Turns the edge between `at` and its child on the other side, so that the child stands above. */
static void rotate(struct node *at, int to_left, struct node *header) {
  struct node *child = to_left ? at->right : at->left;
  struct node *inner = to_left ? child->left : child->right;
  if (to_left) at->right = inner;
  else at->left = inner;
  if (inner != 0) inner->parent = at;
  child->parent = at->parent;
  if (at == header->parent) header->parent = child;
  else if (at == at->parent->left) at->parent->left = child;
  else at->parent->right = child;
  if (to_left) child->left = at;
  else child->right = at;
  at->parent = child;
}

void tree_insert(_Bool on_left, struct node *fresh, struct node *parent, struct node *header)
  NAMED("_ZSt29_Rb_tree_insert_and_rebalancebPSt18_Rb_tree_node_baseS0_RS_");
void tree_insert(_Bool on_left, struct node *fresh, struct node *parent, struct node *header) {
  fresh->parent = parent;
  fresh->left = fresh->right = 0;
  fresh->color = red;
  if (on_left) {
    parent->left = fresh; /* makes it leftmost too when the parent is the header */
    if (parent == header) header->parent = header->right = fresh;
    else if (parent == header->left) header->left = fresh;
  } else {
    parent->right = fresh;
    if (parent == header->right) header->right = fresh;
  }
  for (struct node *at = fresh; at != header->parent && at->parent->color == red;) {
    struct node *above = at->parent->parent;
    int left = at->parent == above->left;
    struct node *uncle = left ? above->right : above->left;
    if (uncle != 0 && uncle->color == red) {
      at->parent->color = uncle->color = black;
      above->color = red;
      at = above;
      continue;
    }
    if (at == (left ? at->parent->right : at->parent->left)) {
      at = at->parent;
      rotate(at, left, header);
    }
    at->parent->color = black;
    above->color = red;
    rotate(above, !left, header);
  }
  header->parent->color = black;
}

/* Takes `out` out of the tree and returns it; the caller frees it. */
struct node *tree_erase(struct node *out, struct node *header)
  NAMED("_ZSt28_Rb_tree_rebalance_for_erasePSt18_Rb_tree_node_baseRS_");
struct node *tree_erase(struct node *out, struct node *header) {
  struct node *hole_child, *hole_parent;
  enum color lost;
  if (out->left != 0 && out->right != 0) {
    struct node *heir = out->right;
    while (heir->left != 0) heir = heir->left;
    hole_child = heir->right;
    lost = heir->color;
    if (heir == out->right) {
      hole_parent = heir;
    } else {
      hole_parent = heir->parent;
      hole_parent->left = hole_child;
      if (hole_child != 0) hole_child->parent = hole_parent;
      heir->right = out->right;
      out->right->parent = heir;
    }
    heir->left = out->left;
    out->left->parent = heir;
    heir->parent = out->parent;
    heir->color = out->color;
    if (header->parent == out) header->parent = heir;
    else if (out->parent->left == out) out->parent->left = heir;
    else out->parent->right = heir;
  } else {
    hole_child = out->left != 0 ? out->left : out->right;
    hole_parent = out->parent;
    lost = out->color;
    if (hole_child != 0) hole_child->parent = hole_parent;
    if (header->parent == out) header->parent = hole_child;
    else if (hole_parent->left == out) hole_parent->left = hole_child;
    else hole_parent->right = hole_child;
    if (header->left == out) {
      struct node *least = hole_parent;
      if (hole_child != 0)
        for (least = hole_child; least->left != 0;) least = least->left;
      header->left = least;
    }
    if (header->right == out) {
      struct node *most = hole_parent;
      if (hole_child != 0)
        for (most = hole_child; most->right != 0;) most = most->right;
      header->right = most;
    }
  }
  if (lost == red) return out;

  struct node *at = hole_child;
  while (at != header->parent && (at == 0 || at->color == black)) {
    int left = at == hole_parent->left;
    struct node *sibling = left ? hole_parent->right : hole_parent->left;
    if (sibling->color == red) {
      sibling->color = black;
      hole_parent->color = red;
      rotate(hole_parent, left, header);
      sibling = left ? hole_parent->right : hole_parent->left;
    }
    struct node *near = left ? sibling->left : sibling->right;
    struct node *far = left ? sibling->right : sibling->left;
    if ((near == 0 || near->color == black) && (far == 0 || far->color == black)) {
      sibling->color = red;
      at = hole_parent;
      hole_parent = hole_parent->parent;
      continue;
    }
    if (far == 0 || far->color == black) {
      near->color = black;
      sibling->color = red;
      rotate(sibling, !left, header);
      sibling = left ? hole_parent->right : hole_parent->left;
      far = left ? sibling->right : sibling->left;
    }
    sibling->color = hole_parent->color;
    hole_parent->color = black;
    if (far != 0) far->color = black;
    rotate(hole_parent, left, header);
    break;
  }
  if (at != 0) at->color = black;
  return out;
}
