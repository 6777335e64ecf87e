/** Settings: what the config lines in force said, in their order, before anything is expanded. */
import type { Keyword, Option } from "./keywords.ts";

export interface Setting {
  readonly option: string;
  readonly words: readonly string[];
  readonly file: string;
  /** 0: not known. */
  readonly line: number;
  readonly unsupported: boolean;
}

export interface Settings {
  /** The one in force. */
  get(option: Option): Setting | undefined;
  /** Its first word. */
  word(option: Option): string | undefined;
  /** Every line of an option that adds. */
  every(option: Option): readonly Setting[];
  readonly all: readonly Setting[];
  /** Takes the line, unless an earlier one wins. */
  add(keyword: Keyword, words: readonly string[], file: string, line: number): void;
}

export function createSettings(): Settings {
  const all: Setting[] = [];
  const first = new Map<string, Setting>();
  const isSet = (option: Option, value?: string): boolean => {
    const words = first.get(option)?.words;
    return words !== undefined && (value === undefined || words[0] === value);
  };

  const wins = ({ name, adds }: Keyword, words: readonly string[]): boolean => {
    if (words.length === 0) return false;
    if (adds === true) return true;
    if (first.has(name)) return false;
    // The two compete, `ProxyJump none` apart: it only ends the search for a jump.
    if (name === "ProxyCommand") return !isSet("ProxyJump") || isSet("ProxyJump", "none");
    if (name === "ProxyJump") return words[0] === "none" || !isSet("ProxyCommand");
    return true;
  };

  return {
    all,
    get: (option) => first.get(option),
    word: (option) => first.get(option)?.words[0],
    every: (option) => all.filter((setting) => setting.option === option),
    add(keyword, words, file, line) {
      if (!wins(keyword, words)) return;
      const unsupported = keyword.unsupported?.(words[0] ?? "") ?? false;
      const setting = { option: keyword.name, words, file, line, unsupported };
      all.push(setting);
      if (!first.has(keyword.name)) first.set(keyword.name, setting);
    },
  };
}
