import type { Sound } from "./transformers-wav.ts";

/** Zero crossings of the filter on each side: enough for speech to keep everything below 90 %. */
const crossings = 16;
/** Shape of the Kaiser window: side lobes of about -80 dB. */
const kaiserBeta = 8;

/**
 * The sound at another rate, by band-limited interpolation: a windowed sinc that ends below half
 * of the lower rate, so that nothing above it folds back into speech (Smith, "Digital Audio
 * Resampling", CCRMA).
 */
export function resample({ samples, rate }: Sound, wanted: number): Float32Array {
  if (rate === wanted) return samples;
  const divisor = greatestDivisor(rate, wanted);
  const [up, down] = [wanted / divisor, rate / divisor];
  // Filters of the original's step: wider, and lower in pitch, where the new rate is lower.
  const scale = Math.min(1, wanted / rate);
  const reach = Math.ceil(crossings / scale);
  const filters = new Map<number, Float32Array>();
  const made = new Float32Array(Math.ceil((samples.length * up) / down));
  for (let index = 0; index < made.length; index++) {
    const center = Math.floor((index * down) / up);
    const phase = (index * down) % up;
    let filter = filters.get(phase);
    if (filter === undefined) {
      filter = filterAt(phase / up, reach, scale);
      filters.set(phase, filter);
    }
    let sum = 0;
    const first = center - reach + 1;
    const from = Math.max(0, -first);
    const to = Math.min(filter.length, samples.length - first);
    for (let tap = from; tap < to; tap++) sum += (filter[tap] ?? 0) * (samples[first + tap] ?? 0);
    made[index] = sum;
  }
  return made;
}

/** The weights of the samples around a place that lies `fraction` behind one of them. */
function filterAt(fraction: number, reach: number, scale: number): Float32Array {
  const filter = new Float32Array(2 * reach);
  let sum = 0;
  for (let tap = 0; tap < filter.length; tap++) {
    const distance = tap - reach + 1 - fraction;
    const weight = sinc(distance * scale) * kaiser(distance / reach);
    filter[tap] = weight;
    sum += weight;
  }
  // A constant stays what it is.
  return filter.map((weight) => weight / sum);
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function kaiser(x: number): number {
  return Math.abs(x) >= 1 ? 0 : bessel(kaiserBeta * Math.sqrt(1 - x * x)) / bessel(kaiserBeta);
}

/** The modified Bessel function of the first kind, order 0, by its series. */
function bessel(x: number): number {
  let [sum, term] = [1, 1];
  for (let k = 1; term > sum * 1e-12; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}
