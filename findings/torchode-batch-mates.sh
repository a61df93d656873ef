#!/usr/bin/env bash
# torchode without t_eval: a solution depends a little on what is solved beside it.
#
# Expected: each problem of a batch has its own steps, so that its solution is the one that it has without the others.
# Seen:     with torchode 1.0.1, Dopri5 and tolerances of 1e-5, a problem that needs 4 steps moves by 1e-6 when another of 29
#           steps is solved beside it, though both make the same steps as before. With t_eval it does not move by a bit.
#           Samples of a flow drawn in other batches are then other samples.
# What to do: pass t_eval, if only the end.
#
# Output seen on 2026-11-28, Python 3.11:
#     without t_eval: 4 steps and 4 steps, the same solution: False
#     with t_eval: 4 steps and 4 steps, the same solution: True
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.bash"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
environment torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 diffusers==0.42.1 torchao==0.18.0 \
    torchode==1.0.1 torchtyping==0.1.5

cat > try.py <<'END'
import torch
import torchode


def solve(rates, t_eval):
    term = torchode.ODETerm(lambda t, y: -y * rates[:, None])
    controller = torchode.IntegralController(atol=1e-5, rtol=1e-5, term=term)
    solver = torchode.AutoDiffAdjoint(torchode.Dopri5(term=term), controller)
    count = len(rates)
    start, end = torch.zeros(count), torch.ones(count)
    times = {"t_eval": torch.stack([start, end], dim=1)} if t_eval else {}
    problem = torchode.InitialValueProblem(torch.tensor([[1.0, 2.0]]).repeat(count, 1), start, end, **times)
    solution = solver.solve(problem)
    return solution.ys[0, -1], solution.stats["n_steps"][0].item()


for t_eval in (False, True):
    first, steps = solve(torch.tensor([1.0]), t_eval)
    again, steps_again = solve(torch.tensor([1.0, 50.0]), t_eval)
    same = torch.equal(first, again)
    print(f"{'with' if t_eval else 'without'} t_eval: {steps} steps and {steps_again} steps, the same solution: {same}")
END
expect "$("$python" -W ignore try.py)" 'without t_eval: 4 steps and 4 steps, the same solution: False
with t_eval: 4 steps and 4 steps, the same solution: True'
