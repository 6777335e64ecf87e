/** Interrupt: why a command is to end. A terminal that is closed is another wish than Ctrl-C for what runs far away. */

/** The reason for the abort of a command's signal; `name`: the signal that the process got, none for a lost reader. */
export function interruption(name: string): DOMException {
  return new DOMException(`interrupted by ${name}`, "AbortError");
}

export function isCtrlC(signal: AbortSignal): boolean {
  return signal.reason instanceof DOMException && signal.reason.message === "interrupted by SIGINT";
}
