/** Drawing: what moves on a terminal while a command works, and gets out of the way of lines that stay. */
export interface Drawing {
  /** Lets what `write` writes pass above the drawing. */
  above(write: () => void): void;
  /** Takes the drawing away while a question is asked. */
  suspend<T>(work: () => Promise<T>): Promise<T>;
  /** Draws the last frame, which stays, or goes without a trace. */
  close(): Promise<void>;
}
