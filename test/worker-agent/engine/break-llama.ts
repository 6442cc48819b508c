import { LlamaContext } from "node-llama-cpp";

type Decode = (this: LlamaContext, request: { readonly sequenceId: number }) => Promise<unknown>;

/**
 * Makes llama.cpp's decoding fail as a lost device or full memory does, for the sequences that
 * `isBroken` picks, until it is disposed of. What is broken is the library, below all our code.
 */
export function breakDecoding(
  message: string,
  isBroken: (sequenceId: number) => boolean,
): Disposable {
  const prototype = LlamaContext.prototype as unknown as { _decodeTokens: Decode };
  const { _decodeTokens: original } = prototype;
  prototype._decodeTokens = function (this: LlamaContext, ...args): Promise<unknown> {
    if (isBroken(args[0].sequenceId)) return Promise.reject(new Error(message));
    return original.apply(this, args);
  };
  return {
    [Symbol.dispose]() {
      prototype._decodeTokens = original;
    },
  };
}

/** Makes llama.cpp refuse new sequences while `isBroken`, until it is disposed of. */
export function breakSequences(message: string, isBroken: () => boolean): Disposable {
  const { prototype } = LlamaContext;
  const { getSequence: original } = prototype;
  prototype.getSequence = function (this: LlamaContext, ...args) {
    if (isBroken()) throw new Error(message);
    return original.apply(this, args);
  };
  return {
    [Symbol.dispose]() {
      prototype.getSequence = original;
    },
  };
}
