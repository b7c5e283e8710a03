#!/usr/bin/env bash
# Runs a command on a SLURM of one node that is set up for it and taken down again.
#
#   apt-get install slurm-wlm munge
#   tests/slurm_node.sh DIR COMMAND...      as root in a container; DIR is made, and keeps logs and settings
#
# Nothing in /etc is read or written, and the ports are not SLURM's own, so another SLURM here is left alone.
# The exit status is the command's.
set -euo pipefail
[ "$(id -u)" -eq 0 ] || { echo "slurm_node.sh: error: SLURM's daemons need root here; use a container" >&2 && exit 1; }
PATH=$PATH:/usr/sbin
for tool in slurmctld slurmd sbatch munged mungekey; do
    command -v "$tool" >/dev/null || { echo "slurm_node.sh: error: $tool: not found" >&2 && exit 1; }
done
mkdir -p "$1/state" "$1/spool"
dir=$(realpath "$1")
shift
chmod 755 "$dir" # munge wants its socket within reach of all
export SLURM_CONF=$dir/slurm.conf

pids=()
take_down() {
    scancel --user=root 2>/dev/null || true # else what jobs started would outlive the daemons
    for _ in {1..40}; do
        [ -n "$(squeue -h 2>/dev/null)" ] || break
        sleep 0.5
    done
    scontrol shutdown >/dev/null 2>&1 || true
    kill "${pids[@]}" 2>/dev/null || true
    wait
}
trap take_down EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
rm -f "$dir/munge.key" "$dir/munge.socket"
mungekey --create --keyfile="$dir/munge.key"
munged --foreground --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" \
    --pid-file="$dir/munge.pid" --log-file="$dir/munge.log" --seed-file="$dir/munge.seed" >"$dir/munged.out" 2>&1 &
pids+=($!)
host=$(hostname -s)
port=$((10000 + $$ % 5000 * 2))
# cred_expire: a requeued job waits for that long, two minutes unless it is set.
cat >"$SLURM_CONF" <<CONF
ClusterName=kdtools
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,batch_sched_delay=1
ReturnToService=2
KillWait=5
NodeName=$host NodeAddr=127.0.0.1 CPUs=8 State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes=$host Default=YES MaxTime=60 State=UP
PartitionName=urgent Nodes=$host PriorityTier=2 MaxTime=60 State=UP
CONF
for _ in {1..100}; do
    [ ! -S "$dir/munge.socket" ] || break
    sleep 0.1
done
slurmctld -D >"$dir/slurmctld.out" 2>&1 &
pids+=($!)
slurmd -D >"$dir/slurmd.out" 2>&1 &
pids+=($!)
for _ in {1..120}; do
    [ "$(sinfo -h -o %T 2>/dev/null)" != idle ] || break
    sleep 0.5
done
[ "$(sinfo -h -o %T)" = idle ] || { echo "slurm_node.sh: error: no node came up; logs: $dir" >&2 && exit 1; }
"$@" <&0 & # bash heeds signals while it waits, but not while a command runs
pids+=($!)
wait $!
