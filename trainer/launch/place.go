// Package launch says which of several processes this one is, from what torchrun, Slurm, Open MPI or Kubernetes set in its environment,
// and starts several on this machine where none of them is there.
package launch

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Place is a process's among those that train together.
type Place struct {
	Rank, Size           int    // of all
	LocalRank, LocalSize int    // of those on this machine
	Address              string // of the machine of rank 0, where the store is; a name or a number
	Port                 int
	StoreServed          bool   // by the launcher, not by rank 0
	Attempt              int    // restarts before this one
	Job                  string // the launcher's name of the run; "" if it has none
	From                 string // who said so: "torchrun", "-nproc", "srun", "mpirun", "the environment"
}

// IsOne says whether a launcher other than Local has started one process alone.
func (p *Place) IsOne() bool { return p != nil && p.Size == 1 && !strings.HasPrefix(p.Job, localJob) }

// DefaultPort is the store's where nothing names another: PyTorch's.
const DefaultPort = 29500

// Error is what is wrong with the environment. Its text names the variable.
type Error struct{ Message string }

func (e *Error) Error() string { return e.Message }

// Find reads a process's place from its environment (NAME=value each). nil: no launcher has started it.
func Find(environ []string) (*Place, error) {
	e := environment{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		e[name] = value
	}
	var p *Place
	var err error
	switch {
	case e["RANK"] != "" || e["WORLD_SIZE"] != "":
		p, err = e.torchrun()
	case e["OMPI_COMM_WORLD_SIZE"] != "": // before Slurm's, in whose jobs mpirun may run
		p, err = e.openMPI()
	case e["SLURM_STEP_NUM_TASKS"] != "" && e["SLURM_PROCID"] != "":
		p, err = e.slurm()
	}
	if err != nil || p == nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return p, nil
}

type environment map[string]string

// number is a variable's; otherwise is taken where it is not set, and -1 allows no such thing.
func (e environment) number(name string, otherwise int, from string) (int, error) {
	if e[name] == "" {
		if otherwise >= 0 {
			return otherwise, nil
		}
		return 0, &Error{fmt.Sprintf("%s: it is not set, as %s sets it", name, from)}
	}
	n, err := strconv.Atoi(e[name])
	if err != nil || n < 0 {
		return 0, &Error{fmt.Sprintf("%s: want a whole number, not %q", name, e[name])}
	}
	return n, nil
}

// numbers reads several: each name with what is taken where it is not set.
func (e environment) numbers(from string, list ...any) error {
	for i := 0; i < len(list); i += 3 {
		n, err := e.number(list[i].(string), list[i+1].(int), from)
		if err != nil {
			return err
		}
		*list[i+2].(*int) = n
	}
	return nil
}

// torchrun's variables (https://docs.pytorch.org/docs/stable/elastic/run.html), which Kubeflow's training operator (v1) and people by hand
// set, too. Kubeflow's Trainer (v2) sets those that torchrun itself reads, PET_*, and has torchrun start the program.
func (e environment) torchrun() (*Place, error) {
	p := &Place{From: "the environment", Address: e["MASTER_ADDR"], Job: e["TORCHELASTIC_RUN_ID"]}
	switch {
	case strings.HasPrefix(p.Job, localJob):
		p.From = "-nproc"
	case p.Job != "":
		p.From = "torchrun"
	}
	if err := e.numbers("torchrun", "RANK", -1, &p.Rank, "WORLD_SIZE", -1, &p.Size, "LOCAL_RANK", 0, &p.LocalRank); err != nil {
		return nil, err
	}
	if err := e.numbers("torchrun", "LOCAL_WORLD_SIZE", p.LocalRank+1, &p.LocalSize, "MASTER_PORT", DefaultPort, &p.Port,
		"TORCHELASTIC_RESTART_COUNT", 0, &p.Attempt); err != nil {
		return nil, err
	}
	p.StoreServed = e["TORCHELASTIC_USE_AGENT_STORE"] == "True"
	return p, nil
}

// slurm: what srun sets for each of its tasks. The port follows from the job's number, so that two jobs on a machine have two.
func (e environment) slurm() (*Place, error) {
	p := &Place{From: "srun", Address: e["MASTER_ADDR"], Job: e["SLURM_JOB_ID"]}
	job, port := 0, 0
	if err := e.numbers("srun", "SLURM_PROCID", -1, &p.Rank, "SLURM_STEP_NUM_TASKS", -1, &p.Size, "SLURM_LOCALID", 0, &p.LocalRank,
		"SLURM_RESTART_COUNT", 0, &p.Attempt, "SLURM_JOB_ID", 0, &job, "MASTER_PORT", 0, &port); err != nil {
		return nil, err
	}
	if p.Port = port; port == 0 {
		p.Port = DefaultPort + job%1000
	}
	tasks, err := tasksOfNode(e["SLURM_STEP_TASKS_PER_NODE"], e["SLURM_NODEID"])
	if err != nil {
		return nil, err
	}
	p.LocalSize = max(tasks, p.LocalRank+1)
	if p.Address == "" {
		nodes := e["SLURM_STEP_NODELIST"]
		if nodes == "" {
			nodes = e["SLURM_JOB_NODELIST"]
		}
		if p.Address, err = firstNode(nodes); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// openMPI: what mpirun sets. It names no machine: with several, -x MASTER_ADDR=… has to.
func (e environment) openMPI() (*Place, error) {
	p := &Place{From: "mpirun", Address: e["MASTER_ADDR"], Job: e["PMIX_NAMESPACE"]}
	if err := e.numbers("mpirun", "OMPI_COMM_WORLD_RANK", -1, &p.Rank, "OMPI_COMM_WORLD_SIZE", -1, &p.Size, "OMPI_COMM_WORLD_LOCAL_RANK", -1, &p.LocalRank,
		"OMPI_COMM_WORLD_LOCAL_SIZE", -1, &p.LocalSize, "MASTER_PORT", DefaultPort, &p.Port); err != nil {
		return nil, err
	}
	if p.Address == "" && p.LocalSize == p.Size {
		p.Address = "127.0.0.1"
	}
	if p.Address == "" {
		return nil, &Error{"MASTER_ADDR: it is not set, and mpirun does not say where rank 0 is: mpirun -x MASTER_ADDR=NAME …"}
	}
	return p, nil
}

func (p *Place) check() error {
	switch {
	case p.Size < 1:
		return &Error{fmt.Sprintf("%s: there are %d processes", p.From, p.Size)}
	case p.Rank >= p.Size:
		return &Error{fmt.Sprintf("%s: rank %d of %d processes: ranks are counted from 0", p.From, p.Rank, p.Size)}
	case p.LocalRank >= p.LocalSize:
		return &Error{fmt.Sprintf("%s: local rank %d of %d processes on this machine: they are counted from 0", p.From, p.LocalRank, p.LocalSize)}
	case p.Size > 1 && p.Address == "":
		return &Error{"MASTER_ADDR: it is not set: want the name or address of the machine of rank 0"}
	case p.Size > 1 && !isHost(p.Address):
		return &Error{fmt.Sprintf("MASTER_ADDR: want the name or address of the machine of rank 0, not %q", p.Address)}
	case p.Port < 1 || p.Port > 65535:
		return &Error{fmt.Sprintf("MASTER_PORT: want a port, not %d", p.Port)}
	}
	return nil
}

// isHost says whether a text can be a machine's name or address.
func isHost(text string) bool {
	if ip, err := netip.ParseAddr(text); err == nil {
		return !ip.IsUnspecified()
	}
	return !strings.ContainsFunc(text, func(c rune) bool {
		return c != '.' && c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	})
}
