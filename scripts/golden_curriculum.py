# Writes trainer/curriculum/testdata/weights.json: the stages' weights at every step of each schedule, by the formulas of the
# course's CurriculumSampler.get_curriculum_weights, written again here from its description. Two things differ from it on
# purpose: at full progress the step schedule stays with its last stage (the course's falls back to all stages alike), and
# its segments are counted in whole numbers, not by dividing two fractions.
#   python3 scripts/golden_curriculum.py trainer/curriculum/testdata
import json
import math
import os
import sys
from fractions import Fraction


def weights(schedule, difficulties, total, step):
    n = len(difficulties)
    relative = [d / max(difficulties) for d in difficulties]
    p = min(1.0, step / total)
    if schedule == "linear":
        raw = [max(0, 1.0 - abs(p - d) * 2) for d in relative]
    elif schedule == "exp":
        raw = [math.exp(-5 * abs(p - d)) for d in relative]
    else:
        segment = math.floor(min(Fraction(1), Fraction(step, total)) * n)
        raw = [1.0 if i == min(n - 1, segment) else 0.0 for i in range(n)]
    whole = sum(raw)
    return [w / whole for w in raw] if whole > 0 else [1.0 / n] * n


cases = []
for difficulties, total, steps in [([1, 2, 3], 60, 75), ([0.5, 0.7, 2, 5], 41, 50), ([3, 3], 7, 9), ([2], 5, 6), ([1, 1000], 20, 20),
                                   ([1, 2, 3, 4, 5, 6, 7], 100, 101)]:
    for schedule in ["linear", "exp", "step"]:
        cases.append({"schedule": schedule, "difficulties": difficulties, "total_steps": total,
                      "weights": [weights(schedule, difficulties, total, s) for s in range(steps)]})
with open(os.path.join(sys.argv[1], "weights.json"), "w") as f:
    json.dump(cases, f, separators=(",", ":"))
    f.write("\n")
