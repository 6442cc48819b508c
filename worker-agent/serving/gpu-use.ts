/**
 * What `nvidia-smi pmon -c 1 -s u` says other processes use of a GPU, in percent of the one they
 * use most; null where their use cannot be told from our own: inside a container the list has no
 * process or other numbers for them. Its columns are found by their names, which differ by driver.
 */
export function gpuUseOfOthers(text: string, ownPid: number, isWorking: boolean): number | null {
  const lines = text.split("\n");
  const names =
    lines
      .find((line) => /^#\s*gpu\b/.test(line))
      ?.slice(1)
      .trim()
      .split(/\s+/) ?? [];
  const gpuAt = names.indexOf("gpu");
  const pidAt = names.indexOf("pid");
  const useAt = names.indexOf("sm");
  if (gpuAt < 0 || pidAt < 0 || useAt < 0) return null;
  const percentByGpu = new Map<string, number>();
  let isOwnListed = false;
  for (const line of lines) {
    if (line.startsWith("#") || line.trim() === "") continue;
    const cells = line.trim().split(/\s+/);
    const pid = Number(cells[pidAt]);
    // A card without a process has one line of dashes.
    if (!Number.isInteger(pid)) continue;
    if (pid === ownPid) isOwnListed = true;
    else {
      const gpu = cells[gpuAt] ?? "";
      // A process that did nothing in this moment has a dash.
      const percent = Number(cells[useAt]) || 0;
      percentByGpu.set(gpu, (percentByGpu.get(gpu) ?? 0) + percent);
    }
  }
  if (isWorking && !isOwnListed) return null;
  return Math.min(100, Math.max(0, ...percentByGpu.values()));
}
