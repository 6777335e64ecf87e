/** Slope: where values are going, by Theil and Sen: the median of the slopes of all pairs, which no outlier moves. Pure. */

export interface Point {
  /** Milliseconds. */
  readonly at: number;
  readonly value: number;
}

export interface Slope {
  /** Per millisecond. */
  readonly slope: number;
  /** Kendall's tau, -1 to 1: how much more often a later value is higher than lower. */
  readonly tau: number;
  readonly points: number;
  /** Milliseconds from the first point to the last. */
  readonly span: number;
}

export interface SlopeOptions {
  /** Only values that lie whole periods apart are compared (a day: nights with nights), give or take an eighth. */
  readonly period?: number | undefined;
}

/**
 * Undefined: they go nowhere for sure. A slope is believed when nearly all pairs agree on its direction, more than
 * chance lets them (99 of 100), and, without a period, when the later half of the time goes on like the whole: what
 * rose once and stays is no trend.
 */
export function slopeOf(all: readonly Point[], options: SlopeOptions = {}): Slope | undefined {
  const points = thin(all);
  const whole = measure(points, options);
  if (whole === undefined || Math.abs(whole.tau) < Math.max(leastTau, chance(points.length))) return undefined;
  if (options.period !== undefined) return whole;
  const middle = (first(points).at + last(points).at) / 2;
  const later = measure(
    points.filter(({ at }) => at >= middle),
    options,
  );
  const ratio = later === undefined ? 0 : later.slope / whole.slope;
  return later !== undefined && later.points >= 4 && ratio > 1 / 2 && ratio < 2 ? whole : undefined;
}

const leastTau = 0.6;

/** What tau stays below in 99 of 100 series of mere noise. */
function chance(n: number): number {
  return 2.58 * Math.sqrt((2 * (2 * n + 5)) / (9 * n * (n - 1)));
}

function measure(points: readonly Point[], { period }: SlopeOptions): Slope | undefined {
  const slopes: number[] = [];
  let balance = 0;
  for (const [i, a] of points.entries()) {
    for (const b of points.slice(i + 1)) {
      const apart = b.at - a.at;
      if (apart <= 0 || (period !== undefined && !isWhole(apart / period))) continue;
      slopes.push((b.value - a.value) / apart);
      balance += Math.sign(b.value - a.value);
    }
  }
  if (slopes.length === 0) return undefined;
  return {
    slope: median(slopes),
    tau: balance / slopes.length,
    points: points.length,
    span: last(points).at - first(points).at,
  };
}

function isWhole(periods: number): boolean {
  return Math.round(periods) >= 1 && Math.abs(periods - Math.round(periods)) <= 1 / 8;
}

/** The work grows by the square: of very many points the medians of equal stretches of time are enough. */
function thin(points: readonly Point[]): Point[] {
  const sorted = points.toSorted((a, b) => a.at - b.at);
  if (sorted.length <= most) return sorted;
  const start = first(sorted).at;
  const width = (last(sorted).at - start + 1) / most;
  return [...Map.groupBy(sorted, ({ at }) => Math.floor((at - start) / width)).values()].map((group) => ({
    at: median(group.map(({ at }) => at)),
    value: median(group.map(({ value }) => value)),
  }));
}

const most = 160;

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}

function first(points: readonly Point[]): Point {
  return points[0] ?? { at: 0, value: 0 };
}

function last(points: readonly Point[]): Point {
  return points.at(-1) ?? { at: 0, value: 0 };
}
