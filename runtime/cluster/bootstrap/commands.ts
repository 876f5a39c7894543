/**
 * The commands that are run on machines before Farcall's own program is there. They are constants, whatever the
 * cluster: what varies goes in on standard input, where no shell can mistake it for something to do.
 *
 * They go through the user's login shell, which may be bash, dash, busybox or fish, so each is one word in single
 * quotes handed to `sh`, and holds neither single quotes nor backslashes. They ask for no root, no Python and nothing
 * but what POSIX has.
 */

/** Where everything of Farcall on a machine lies, in the home folder of the user logged in as. */
export const nodeRoot = ".farcall-node";

/** How a script reads the id of the cluster, and where that cluster lives. Sets `root` and `dir`. */
const begin = `
set -u
umask 077
LC_ALL=C
export LC_ALL
IFS= read -r id
case "$id" in
  ""|*[!0-9a-f]*) echo "farcall: no id"; exit 3;;
esac
case "\${HOME:-}" in
  /?*) ;;
  *) echo "farcall: HOME is not a folder of your own"; exit 3;;
esac
root="$HOME/${nodeRoot}"
dir="$root/$id"
`;

function script(text: string): string {
  if (/['\\]/.test(text)) throw new Error("a command for machines must hold neither single quotes nor backslashes");
  return `exec sh -c '${text}'`;
}

/** Says what the machine is and has. Input: the id. Changes nothing. What is printed before `farcall-probe` is the user's own. */
export const probeCommand = script(`${begin}
echo
echo farcall-probe
say() { echo "$1=$2"; }
say home "$HOME"
say system "$(uname -s)"
say machine "$(uname -m)"
say libc "$(getconf GNU_LIBC_VERSION 2>/dev/null || { ls /lib/ld-musl-* >/dev/null 2>&1 && echo musl; })"
say cpus "$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null)"
while read -r key value rest; do
  case "$key" in MemTotal:) say memoryKiB "$value";; esac
done </proc/meminfo
df -Pk "$HOME" 2>/dev/null | {
  read -r line
  read -r device blocks used free rest
  say freeKiB "$free"
}
if [ -w "$HOME" ]; then say writable yes; fi
if [ -e "$root" ] && [ ! -O "$root" ]; then say foreign yes; fi
for tool in tar gzip sha256sum curl wget setsid; do
  if command -v "$tool" >/dev/null 2>&1; then say tool "$tool"; fi
done
say linger "$(loginctl show-user "$(id -un)" -p Linger 2>/dev/null)"
for node in "$root"/node-*/bin/node "$(command -v node 2>/dev/null)" /usr/local/bin/node /usr/bin/node "$HOME"/.nvm/versions/node/*/bin/node "$HOME"/.local/share/fnm/node-versions/*/installation/bin/node "$HOME"/.volta/tools/image/node/*/bin/node; do
  if [ -x "$node" ]; then say node "$("$node" -v 2>/dev/null) $node"; fi
done
for each in "$root"/*/cluster.json; do
  if [ -r "$each" ]; then say cluster "$(cat "$each")"; fi
done
say build "$(cat "$dir/build" 2>/dev/null)"
say server "$(cat "$dir/broker/server" 2>/dev/null)"
say autostop "$(cat "$dir/autostop" 2>/dev/null) $(cat "$dir/autostop-said" 2>/dev/null)"
echo farcall-end
`);

/**
 * Runs Farcall's set-up program. Input: three lines (the id, the path of Node.js, the program in base64), then what
 * the program reads.
 */
export const setupCommand = script(`${begin}
IFS= read -r node
IFS= read -r program
exec "$node" -e "eval(String(Buffer.from(process.argv[1],process.argv[2])))" "$program" base64 "$dir"
`);

/**
 * Puts Node.js in place. Input: the id, the name of its folder, where to fetch the archive (`-` for the rest of the
 * input), its SHA-256. Ends with 6 when the archive could not be fetched, 5 when it is not what it should be.
 */
export const installNodeCommand = script(`${begin}
IFS= read -r name
IFS= read -r source
IFS= read -r sum
case "$name" in
  node-*[!0-9a-f]*) echo "farcall: no name"; exit 3;;
esac
done_() { echo; echo "farcall-node ${nodeRoot}/$name"; exit 0; }
if [ -x "$root/$name/bin/node" ]; then done_; fi
if [ -e "$root" ] && [ ! -f "$root/owner" ]; then echo "$root is there already and not of Farcall" >&2; exit 4; fi
mkdir -p "$root" || exit 4
echo farcall >"$root/owner" || exit 4
aside="$root/.aside-$$"
clean() { rm -rf "$aside"; }
trap clean EXIT
mkdir "$aside" || exit 4
if [ "$source" = - ]; then
  cat >"$aside/archive" || exit 4
elif command -v curl >/dev/null 2>&1; then
  curl -fsSL --connect-timeout 10 --max-time 800 -o "$aside/archive" "$source" || exit 6
else
  wget -q -T 10 -O "$aside/archive" "$source" || exit 6
fi
if command -v sha256sum >/dev/null 2>&1; then
  echo "$sum  $aside/archive" | sha256sum -c - >/dev/null 2>&1 || { echo "the archive is damaged" >&2; exit 5; }
fi
mkdir "$aside/files" && tar -xzf "$aside/archive" -C "$aside/files" || exit 4
for each in "$aside"/files/*/bin/node; do
  found="\${each%/bin/node}"
done
"$found/bin/node" -v >/dev/null || { echo "the Node.js of the archive does not run there" >&2; exit 5; }
mv "$found" "$root/$name" 2>/dev/null
if [ -x "$root/$name/bin/node" ]; then done_; fi
exit 4
`);

/** Where the agent listens and its token. Input: the id. Prints three lines: token, socket, build; nothing when no agent ran. */
export const addressCommand = script(`${begin}
echo
echo farcall-address
cat "$dir/agent.address" 2>/dev/null
`);

/** The end of what the agent wrote into its log. Input: the id. What is printed before `farcall-log` is the user's own. */
export const logCommand = script(`${begin}
echo
echo farcall-log
tail -c 2000000 "$dir/agent.log" 2>/dev/null
`);

/** Succeeds for a pid file that names a process of this cluster, and sets `pid`. One that has ended has no words. */
const ownProcess = `
is_own() { grep -q "$dir" "/proc/$1/cmdline" 2>/dev/null; }
own_process() {
  pid=
  # Its status is that of a failure where no newline ends the file.
  if [ -r "$1" ]; then read -r pid <"$1"; fi
  case "$pid" in
    ""|*[!0-9]*) return 1;;
  esac
  is_own "$pid"
}
`;

/** Has the agent end, and then a server of the queue, which it would start again. By signals. Input: the id. */
export const endCommand = script(`${begin}${ownProcess}
end_() {
  kill "$1" 2>/dev/null || return
  tries=0
  while is_own "$1" && [ $tries -lt 50 ]; do
    # Not everywhere does it take parts of a second.
    sleep 0.2 2>/dev/null || sleep 1
    tries=$((tries + 1))
  done
}
for name in supervisor agent broker/nats; do
  if own_process "$dir/$name.pid"; then end_ "$pid"; fi
done
`);

/**
 * Ends what is left of the cluster on the machine and removes its folder, and all of Farcall when no other cluster is
 * left. Input: the id. Does nothing to a folder that Farcall did not mark as its own.
 */
export const removeCommand = script(`${begin}${ownProcess}
if [ -d "$dir" ] && [ ! -L "$dir" ] && [ -f "$dir/owner" ]; then
  for file in "$dir"/*.pid; do
    if own_process "$file"; then kill -9 "$pid" 2>/dev/null; fi
  done
  if [ -r /proc/self/environ ]; then
    for file in /proc/[0-9]*/environ; do
      if grep -q "FARCALL_NODE=$id" "$file" 2>/dev/null; then
        pid="\${file#/proc/}"
        kill -9 "\${pid%/environ}" 2>/dev/null
      fi
    done
  fi
  rm -rf "$dir"
fi
if [ -f "$root/owner" ] && [ ! -L "$root" ]; then
  others=no
  for each in "$root"/*/owner; do
    if [ -e "$each" ]; then others=yes; fi
  done
  if [ "$others" = no ]; then rm -rf "$root"; fi
fi
if [ -e "$dir" ]; then echo "farcall: $dir could not be removed"; exit 4; fi
echo farcall-removed
`);
