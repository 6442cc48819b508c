/** What a cell may hold: text is guarded against spreadsheets, numbers are not. */
export type CsvCell = string | number | bigint | boolean | null;

/** A table that somebody keeps as a file. */
export interface CsvFile {
  /** With its ending: `usage-2026-10-01-2026-10-31.csv`. */
  readonly name: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly CsvCell[])[];
}

/**
 * The table as CSV by RFC 4180: a header, CRLF after every line, cells in quotes where they need
 * them. Null is an empty cell. A text that a spreadsheet would run as a formula begins with an
 * apostrophe instead (OWASP, CSV injection): names are whatever somebody called a model or a key.
 */
export function toCsv({ columns, rows }: Pick<CsvFile, "columns" | "rows">): string {
  return [columns, ...rows].map((row) => `${row.map(cellText).join(",")}\r\n`).join("");
}

/** As they are, or in the full width that East Asian spreadsheets read the same way. */
const formulaStart = /^[=+\-@＝＋－＠\t\r\n]/;

function cellText(cell: CsvCell): string {
  if (cell === null) return "";
  if (typeof cell !== "string") return String(cell);
  const text = formulaStart.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
