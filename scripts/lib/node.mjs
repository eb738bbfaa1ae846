const OLDEST = [20, 3];

/** Ends the process with a clear word when this Node is too old. Kept in syntax that an old Node can read. */
export function requireNode(version = process.versions.node) {
  const [major, minor] = version.split('.').map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return;
  process.stderr.write(
    `Durabill needs Node ${OLDEST.join('.')} or newer; this is ${version} (${process.execPath}).\n`,
  );
  process.exit(1);
}
