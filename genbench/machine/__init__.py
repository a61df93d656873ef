"""What a job runs on and how it reports.

devices         CPUs and GPUs
ranks           processes of one job, by MPI
distributed     gradients summed over ranks
progress        how far a long job is
memory          how much of it is free
time_limit      when the cluster ends the job
provenance      versions, commit and machine behind a result
code            which code computes a result, as a hash
command_line    what every command shares
doctor          whether all this is fit for a suite
job             the device of a command that computes
"""
