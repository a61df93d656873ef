#!/usr/bin/env bash
# start.sh FOLDER: start a Slurm of one machine for tests: munged, slurmctld and slurmd, with all their files in FOLDER.
# stop.sh FOLDER ends it. It needs Debian's slurm-wlm and munge, but neither root nor systemd. Two character devices that
# every machine has stand in for GPUs: Slurm counts them and sets CUDA_VISIBLE_DEVICES as for real ones.
# Afterwards: export SLURM_CONF=FOLDER/slurm.conf PATH=FOLDER/bin:$PATH
set -euo pipefail
mkdir -p "$1"
folder=$(cd "$1" && pwd)
user=$(id -un)
host=$(hostname -s)
PATH=$PATH:/usr/sbin
mkdir -p "$folder/state" "$folder/spool"
chmod 0755 "$folder"

mungekey --create --force --keyfile "$folder/munge.key" 2>/dev/null
munged --force --socket "$folder/munge.socket" --key-file "$folder/munge.key" --pid-file "$folder/munged.pid" \
  --seed-file "$folder/munge.seed" --log-file "$folder/munged.log"

cat > "$folder/slurm.conf" <<END
ClusterName=genbench
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=$user
SlurmdUser=$user
AuthInfo=socket=$folder/munge.socket
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=1,sched_interval=5
ReturnToService=2
MpiDefault=none
GresTypes=gpu
MinJobAge=3600
KillWait=5
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
# Four cores and 64 GB on any machine: the jobs are toys, but request what full recipes need.
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 RealMemory=64000 Gres=gpu:2
PartitionName=cpu Nodes=$host Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=$host MaxTime=INFINITE State=UP
END
cat > "$folder/gres.conf" <<END
NodeName=$host Name=gpu File=/dev/null
NodeName=$host Name=gpu File=/dev/zero
END

# Snakemake's executor clears SLURM_*, and so SLURM_CONF, before it calls srun in a job. A training also calls squeue.
mkdir -p "$folder/bin"
for program in srun squeue; do
  printf '#!/bin/sh\nSLURM_CONF=%s exec %s "$@"\n' "$folder/slurm.conf" "$(command -v $program)" > "$folder/bin/$program"
  chmod +x "$folder/bin/$program"
done

export SLURM_CONF=$folder/slurm.conf
slurmctld -c
slurmd
for _ in $(seq 60); do
  timeout 5 sinfo --noheader --format=%T 2>/dev/null | grep -q idle && exit 0
  sleep 0.5
done
echo "Slurm did not come up; the ends of its logs:" >&2
tail -n 20 "$folder"/*.log >&2
exit 1
