/** systemd steps as sh: one unit, one action; what starts must also stay. */
import { quote, quoteArgv } from "../../argv.ts";
import type { Step } from "../../resource.ts";

type UnitStep = Extract<Step, { do: "unit" }>;

/** Seconds a simple service must live to count as started: systemd calls it active as soon as it was forked. */
const settleSeconds = 1;

/** Lines of the unit's journal that explain a failure. */
const lastWords = 20;

/** Exits 0 when done. `timeout` (seconds) bounds systemctl itself; the job in systemd goes on. */
export function unitSteps(step: UnitStep, timeout?: number): string {
  const systemctl = (...words: string[]): string =>
    quoteArgv([
      ...(timeout === undefined ? [] : ["ami_limit", String(timeout)]),
      "systemctl",
      "--no-ask-password",
      ...words,
    ]);
  switch (step.action) {
    case "enable":
    case "stop":
      return systemctl(step.action, "--", step.name);
    case "disable":
      // Links below /run are those of `enable --runtime`, or of a generator's kin.
      return `{ ${systemctl("disable", "--", step.name)} && ${systemctl("disable", "--runtime", "--", step.name)}; }`;
    case "start":
    case "restart":
    case "reload":
      return startAndWatch(systemctl(verbs[step.action], "--", step.name), step.name, step.action !== "start");
  }
}

/** A unit that cannot reload is restarted, one that is not running is started. */
const verbs = { start: "start", restart: "restart", reload: "reload-or-restart" } as const;

/**
 * Type=notify, forking, dbus and oneshot units are started when systemctl returns; simple ones may die right after, or
 * die again and again: they must keep their main process for a while. A oneshot unit that ended well was restarted, too;
 * but `start` is asked for by a wish that it runs, which it would not fulfil on the next look either.
 */
function startAndWatch(command: string, name: string, endedIsFine: boolean): string {
  const unit = quote(name);
  return `(
trap - HUP PIPE TERM INT; exec 3>&-
since=$(date +%s)
look() {
Type= ActiveState= SubState= Result= MainPID= NeedDaemonReload=
while IFS='=' read -r key value; do
case $key in Type) Type=$value;; ActiveState) ActiveState=$value;; SubState) SubState=$value;; Result) Result=$value;; MainPID) MainPID=$value;; NeedDaemonReload) NeedDaemonReload=$value;; esac
done <<EOF
$(systemctl show -p Type,ActiveState,SubState,Result,MainPID,NeedDaemonReload -- ${unit})
EOF
}
up() { case $ActiveState in active|reloading|refreshing) return 0;;${endedIsFine ? ` inactive) [ "$Type $Result" = 'oneshot success' ]; return;;` : ""} esac; return 1; }
fail() {
rc=$1; shift
echo "$*" >&2
journalctl --sync >/dev/null 2>&1
journalctl -q --no-pager -o short-iso -n ${lastWords} --since "@$since" -u ${unit} >&2
exit "$rc"
}
look
[ "$NeedDaemonReload" != yes ] || systemctl daemon-reload
${command} || fail $? ${quote(`${name} did not start; its last words:`)}
look
case $Type in simple|exec|idle) if up; then pid=$MainPID; sleep ${settleSeconds}; look; [ "$MainPID" = "$pid" ] || ! up || ActiveState='crashing again and again'; fi;; esac
why=
[ "$Type" != oneshot ] || why='; a oneshot unit ends at once unless it says RemainAfterExit=yes'
up || fail 1 ${quote(name)}" was started but is $ActiveState ($SubState, result: $Result, type: $Type)$why; its last words:"
)`;
}
