package launch

// Slurm's short forms of lists.

import (
	"fmt"
	"strconv"
	"strings"
)

// firstNode is the first of a list of hosts: "node[03-05,9],gpu1" begins with node03.
func firstNode(list string) (string, error) {
	wrong := &Error{fmt.Sprintf("SLURM_STEP_NODELIST: want a list of hosts, not %q", list)}
	var name strings.Builder
	for i := 0; i < len(list) && list[i] != ','; i++ {
		if list[i] != '[' {
			name.WriteByte(list[i])
			continue
		}
		inside, rest, closed := strings.Cut(list[i+1:], "]")
		number, _, _ := strings.Cut(inside, ",")
		number, _, _ = strings.Cut(number, "-")
		if _, err := strconv.ParseUint(number, 10, 64); !closed || err != nil {
			return "", wrong
		}
		name.WriteString(number)
		list, i = rest, -1
	}
	if name.Len() == 0 || strings.ContainsAny(name.String(), "]") {
		return "", wrong
	}
	return name.String(), nil
}

// tasksOfNode is how many tasks a node has in a list such as "4(x2),3": 4 on nodes 0 and 1, 3 on node 2; 0 where nothing is said.
func tasksOfNode(list, node string) (int, error) {
	if list == "" || node == "" {
		return 0, nil
	}
	wrong := &Error{fmt.Sprintf("SLURM_STEP_TASKS_PER_NODE, SLURM_NODEID: want lists such as 4(x2),3 and a number, not %q and %q", list, node)}
	at, err := strconv.Atoi(node)
	if err != nil {
		return 0, wrong
	}
	for part := range strings.SplitSeq(list, ",") {
		count, times, repeated := strings.Cut(part, "(x")
		n, err := strconv.Atoi(count)
		if err != nil {
			return 0, wrong
		}
		nodes := 1
		if repeated {
			if nodes, err = strconv.Atoi(strings.TrimSuffix(times, ")")); err != nil {
				return 0, wrong
			}
		}
		if at < nodes {
			return n, nil
		}
		at -= nodes
	}
	return 0, wrong
}
