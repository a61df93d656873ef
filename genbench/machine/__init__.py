"""The machine that a job runs on, and how the job reports.

devices         CPUs and GPUs
ranks           processes of one job, by MPI
distributed     gradients summed over ranks
progress        progress of long jobs
memory          how much memory is free
cores           how many threads work at once
control_groups  the limits of containers and clusters
time_limit      when the cluster ends the job
provenance      versions, commit and machine behind a result
code            which code computes a result, as a hash
command_line    what every command shares
doctor          whether a machine or cluster can run a suite
job             the device flags of a command, and its device
"""
