#!/usr/bin/env bash
# Points of a folder of photographs, again and again, for cron or systemd: a run whose inputs have not changed does nothing.
#
#   predict.sh MODEL PHOTOS OUTPUT
#
# Ends with 0 where OUTPUT is up to date, also if some photographs could not be read: each is named on standard error,
# which cron mails and systemd logs. Ends with kd-predict's own status where OUTPUT was not written.
set -euo pipefail
[[ $# -eq 3 ]] || { echo "usage: predict.sh MODEL PHOTOS OUTPUT" >&2 && exit 2; }
model=$1 photos=$2 output=$3

# Statuses: 0 done; 4 done, but some inputs were skipped. Where inputs have changed, --resume alone ends with 1, and what
# it says is no news: with --force it replaces the old output, and still goes on with the blocks of a run that was stopped.
status=0
words=$(kd-predict "$model" "$photos" --resume -q -o "$output" 2>&1) || status=$?
if [ "$status" -eq 1 ]; then
    status=0
    kd-predict "$model" "$photos" --resume --force -q -o "$output" || status=$?
elif [ -n "$words" ]; then
    echo "$words" >&2
fi
[ "$status" -eq 4 ] || exit "$status"
