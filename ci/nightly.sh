#!/usr/bin/env bash
# One unattended night of a study in a CI job. It is told by variables, so that no text of a user becomes a command:
#
#   PARETUNE_STUDY      the study file (needed)
#   PARETUNE_INTO       folder of the nights ("": nights/STUDY beside the study file)
#   PARETUNE_DEPLOYED   the bundle that is deployed ("": that of the last good night)
#   PARETUNE_AGAINST    good, last, a number, or the path of a run or bundle ("": good)
#   PARETUNE_TOLERATE   changes that do not count, one a line, say "latency 3 %"
#   PARETUNE_WITHIN     hard end of the night, say "4 h" ("": as paretune has it)
#   PARETUNE_ACCEPT     true: a regression of this night is meant
#   PARETUNE_OUTPUT     folder for page.html, junit.xml, summary.md and summary.json (paretune-night)
#   PARETUNE_FAIL_ON    what fails the build: regression (the default), unmet (also where no candidate meets the
#                       limits), any (also where a person has to look, or the night was stopped), never
#   PARETUNE_COMMAND    the command (paretune)
#
# It ends with the exit code that the build gets. What `paretune nightly` itself ended with, and what that means, goes to
# GITHUB_OUTPUT as exit_code, verdict and build, the summary to GITHUB_STEP_SUMMARY, where a runner names these files.
# PARETUNE_DEFER=true: end with 0 in any case, so that a later step can fail the build by `build`.
set -u

output=${PARETUNE_OUTPUT:-paretune-night}
arguments=("${PARETUNE_STUDY:?names no study file}")
option() { # NAME VALUE: passed on where there is a value
  if [ -n "$2" ]; then arguments+=("$1" "$2"); fi
}
option --into "${PARETUNE_INTO:-}"
option --deployed "${PARETUNE_DEPLOYED:-}"
option --against "${PARETUNE_AGAINST:-}"
option --within "${PARETUNE_WITHIN:-}"
while IFS= read -r change; do
  option --tolerate "${change//$'\r'/}"
done <<<"${PARETUNE_TOLERATE:-}"
if [ "${PARETUNE_ACCEPT:-}" = true ]; then arguments+=(--accept); fi

mkdir -p "$output" || exit 1
rm -f "$output"/{page.html,junit.xml,summary.md,summary.json} # of an earlier job in this folder
began=$output/.began
touch "$began"
"${PARETUNE_COMMAND:-paretune}" nightly "${arguments[@]}" \
  --junit "$output/junit.xml" --summary "$output/summary.md" --json "$output/summary.json"
code=$?

nights=${PARETUNE_INTO:-$(dirname "$PARETUNE_STUDY")/nights/$(basename "${PARETUNE_STUDY%.*}")}
for page in "$nights"/night-*/page.html; do # the one of tonight, if it has one
  if [ -s "$page" ] && [ "$page" -nt "$began" ]; then cp -f "$page" "$output/page.html"; fi
done
rm -f "$began"

case $code in
  0) verdict=fine level='' said='no regression' ;;
  2) verdict=regression level=error said='a regression' ;;
  3) verdict=unmet level=warning said='no candidate meets the limits' ;;
  130) verdict=stopped level=warning said='the night was stopped; the next one goes on from what is kept' ;;
  *) verdict=look level=warning said='a person has to look' ;;
esac
if [ "$code" -eq 2 ] && [ ! -s "$output/summary.json" ]; then # a regression is told by what it was found in
  verdict=look level=warning said='a person has to look: the night left no record'
fi

case "${PARETUNE_FAIL_ON:-regression}" in
  never) fails='' ;;
  unmet) fails='regression unmet' ;;
  any) fails='regression unmet look stopped' ;;
  *) fails='regression' ;;
esac
build=0
for one in $fails; do
  if [ "$one" = "$verdict" ]; then build=$code; fi
done

if [ -n "${GITHUB_OUTPUT:-}" ]; then
  printf 'exit_code=%s\nverdict=%s\nbuild=%s\n' "$code" "$verdict" "$build" >>"$GITHUB_OUTPUT"
fi
if [ -n "${GITHUB_STEP_SUMMARY:-}" ] && [ -s "$output/summary.md" ]; then
  cat "$output/summary.md" >>"$GITHUB_STEP_SUMMARY"
fi
if [ -n "${GITHUB_ACTIONS:-}" ] && [ -n "$level" ]; then
  printf '::%s title=Paretune::%s\n' "$level" "$said"
fi
echo "paretune nightly ended with $code ($verdict): $said"
if [ "${PARETUNE_DEFER:-}" = true ]; then exit 0; fi
exit "$build"
