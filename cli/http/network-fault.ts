/** Why an edge cannot be reached, in half a sentence with what mends it. */
export function networkFault(url: URL, error: unknown): string {
  const { code, message } = rootOf(error);
  const { host, hostname } = url;
  if (["ENOTFOUND", "EAI_AGAIN", "EAI_FAIL", "ENODATA"].includes(code)) {
    const remedy = "check the URL, and this machine's DNS";
    return `the name ${hostname} cannot be resolved (${code}); ${remedy}`;
  }
  if (code === "ECONNREFUSED") {
    return `${host} refuses connections; check the port, or start a local network with npm start`;
  }
  if (certificateCodes.test(code) || /\b(tls|ssl|certificate)\b/i.test(message)) {
    const proxy = "behind a company's proxy name its certificate in NODE_EXTRA_CA_CERTS";
    return `no secure connection (${message}); set the clock, and ${proxy}`;
  }
  if (/TIMEDOUT|TIMEOUT/.test(code)) return `${host} does not answer in time; try again`;
  if (["ENETUNREACH", "EHOSTUNREACH", "ENETDOWN", "EADDRNOTAVAIL"].includes(code)) {
    return `there is no way to ${host} (${code}); check the network's cable`;
  }
  if (["ECONNRESET", "UND_ERR_SOCKET", "EPIPE"].includes(code)) {
    return `${host} ended the connection (${code}); try again`;
  }
  return message || code || "no reason is told";
}

/** Node's errors.html, and OpenSSL's names of what is wrong with a certificate. */
const certificateCodes =
  /^(CERT_|ERR_TLS_|ERR_SSL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|EPROTO)/;

/** Errors wrap each other, and a host of several addresses fails once for each. */
function rootOf(error: unknown): { readonly code: string; readonly message: string } {
  let at: unknown = error;
  let code = "";
  let message = "";
  for (let depth = 0; depth < 8 && at instanceof Error; depth++) {
    if ("code" in at && typeof at.code === "string") code = at.code;
    else if (at.name === "TimeoutError") code = "TIMEOUT";
    if (at.message !== "") message = at.message;
    at = at instanceof AggregateError ? at.errors[0] : at.cause;
  }
  return { code, message: message.split("\n")[0]?.slice(0, 200) ?? "" };
}
