#!/usr/bin/env bash
# stop.sh FOLDER: stop the Slurm that start.sh FOLDER started.
set -uo pipefail
export SLURM_CONF=$1/slurm.conf
timeout 10 scancel --user "$(id -un)" 2>/dev/null
for _ in $(seq 30); do  # the last process of a job outlives slurmd if it cannot report its end
  [ -z "$(timeout 5 squeue --noheader 2>/dev/null)" ] && break
  sleep 0.5
done
for daemon in slurmd slurmctld munged; do
  [ -s "$1/$daemon.pid" ] && kill "$(cat "$1/$daemon.pid")"
done
for _ in $(seq 20); do
  running=0
  for daemon in slurmd slurmctld munged; do
    [ -s "$1/$daemon.pid" ] && kill -0 "$(cat "$1/$daemon.pid")" 2>/dev/null && running=1
  done
  [ $running = 0 ] && exit 0
  sleep 0.5
done
echo "some daemons of $1 did not stop" >&2
exit 1
