/**
 * Protocol version of this build, and the oldest one it still speaks: the edge serves N and N−1.
 */
export const protocolVersion = 2;
export const protocolFloor = 1;
/** From here on tokens are named by their ids and answers are continued: see task.ts. */
export const continuingVersion = 2;

/**
 * A frame larger than this closes the socket: four of them fit the memory a hub can spare for one
 * worker.
 */
export const frameBytesMax = 256 * 1024;
/** Before it has proved itself a peer may send one frame, and a proof needs less than this. */
export const unprovenFrameBytesMax = 4 * 1024;
/**
 * No frame of ours nests deeper than 12; the rest is room for tool arguments that are passed as
 * text anyway.
 */
export const frameDepthMax = 32;
/**
 * How much of a request body travels in one frame: escaping can double it, and the frame still
 * fits.
 */
export const bodyPartChars = 64 * 1024;
/** A consumer's request body: 4 MiB is about a million tokens, more than any served context. */
export const requestBytesMax = 4 * 1024 * 1024;
/** The same as a worker gets it: a form's file travels as base64, which is a third longer. */
export const taskBytesMax = 6 * 1024 * 1024;
/**
 * The output of one attempt: 2,048 vectors of 1,024 floats fit, and a hub's memory has room for a
 * few of them.
 */
export const answerBytesMax = 12 * 1024 * 1024;

/**
 * Long enough for a round trip around the world and a slow machine's signature; short for a
 * stranger's socket.
 */
export const proveWithinMs = 5_000;
/**
 * One ping in ten seconds keeps home routers' NAT entries (30 s at the least) and costs the hub
 * nothing.
 */
export const heartbeatMs = 10_000;
/** Three missed heartbeats are death: one may be lost with a Wi-Fi roam. */
export const silenceMs = 3 * heartbeatMs;

/**
 * Listings of one worker: a machine holds a handful of models; the set is kept in the hub's memory.
 */
export const listingsMax = 32;
/**
 * Concurrent attempts of one worker: beyond this a hub's 256 workers could not be held in its
 * memory.
 */
export const slotsMax = 256;

/**
 * Output a worker may have under way beyond what the hub has granted: about 8 s of a fast model.
 */
export const windowBytes = 64 * 1024;

/**
 * Control frames a worker may send in one second outside of attempts, before it is closed as a
 * flood.
 */
export const controlFramesPerSecondMax = 50;
