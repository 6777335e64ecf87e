/** Paint: colours when the stream wants them, the text itself otherwise. chalk is loaded only for the first case. */
export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
  /** The colour of a host: always the same for the same name. */
  host(name: string): string;
}

const asIs = (text: string): string => text;

export const noPaint: Paint = { bold: asIs, dim: asIs, red: asIs, green: asIs, yellow: asIs, cyan: asIs, host: asIs };

export type ColorWish = "auto" | "always" | "never";

/** --no-color, then FORCE_COLOR, then NO_COLOR, then the settings, then whether it is a terminal that can. */
export function wantsColor(flag: boolean, setting: ColorWish, isTerminal: boolean, env: NodeJS.ProcessEnv): boolean {
  if (!flag) return false;
  const force = env["FORCE_COLOR"];
  if (force !== undefined) return force !== "0" && force !== "false";
  if ((env["NO_COLOR"] ?? "") !== "") return false;
  if (setting !== "auto") return setting === "always";
  return isTerminal && env["TERM"] !== "dumb";
}

export async function openPaint(color: boolean): Promise<Paint> {
  if (!color) return noPaint;
  const { Chalk } = await import("chalk");
  const chalk = new Chalk({ level: 1 });
  const hues = [
    chalk.cyan,
    chalk.green,
    chalk.magenta,
    chalk.yellow,
    chalk.blue,
    chalk.cyanBright,
    chalk.greenBright,
    chalk.magentaBright,
  ];
  return {
    bold: (text) => chalk.bold(text),
    dim: (text) => chalk.dim(text),
    red: (text) => chalk.red(text),
    green: (text) => chalk.green(text),
    yellow: (text) => chalk.yellow(text),
    cyan: (text) => chalk.cyan(text),
    host: (name) => (hues[hash(name) % hues.length] ?? chalk.cyan)(name),
  };
}

function hash(text: string): number {
  let sum = 0;
  for (const letter of text) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) >>> 0;
  return sum;
}
