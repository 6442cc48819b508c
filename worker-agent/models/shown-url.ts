/**
 * A URL as sentences, logs and files may have it: without a password in it, and without its query,
 * which signed addresses keep their secret in. What is no http URL is given as it is.
 */
export function shownUrl(text: string): string {
  if (!/^\s*https?:/i.test(text)) return text;
  if (!URL.canParse(text)) {
    // Nobody knows where its password ends, but it is not behind the last @.
    return text.replace(/^\s*(https?:).*@/is, "$1//…@").replace(/\?[^#]*/, "?…");
  }
  const url = new URL(text);
  if (url.username + url.password + url.search === "") return text;
  const user = url.username + url.password === "" ? "" : "…@";
  const query = url.search === "" ? "" : "?…";
  return `${url.protocol}//${user}${url.host}${url.pathname}${query}${url.hash}`;
}
