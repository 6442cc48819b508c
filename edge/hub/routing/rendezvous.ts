/*
 * Rendezvous hashing (Thaler and Ravishankar, 1998): everyone who knows a key and the same ids
 * finds the same id for it, and an id that goes moves only its own keys.
 */

/** FNV-1a, 32 bits. */
const fnvOffset = 0x811c9dc5;
const fnvPrime = 0x01000193;
/** A worker's id is a public key: 12 of its characters are 72 random bits. */
const charsMax = 12;

/** A key as the number that ranks start from. */
export function keyHash(key: string): number {
  return mix(fnvOffset, key);
}

/** How an id ranks for a key's hash: the highest has it. From 0 to 2³² − 1. */
export function rendezvousRank(hash: number, id: string): number {
  let rank = mix(hash, id.length <= charsMax ? id : id.slice(-charsMax));
  // The finalizer of MurmurHash3: without it, ids that end alike rank alike.
  rank ^= rank >>> 16;
  rank = Math.imul(rank, 0x85ebca6b);
  rank ^= rank >>> 13;
  rank = Math.imul(rank, 0xc2b2ae35);
  rank ^= rank >>> 16;
  return rank >>> 0;
}

function mix(start: number, text: string): number {
  let hash = start;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), fnvPrime);
  }
  return hash;
}
