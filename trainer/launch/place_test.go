package launch

import (
	"errors"
	"strings"
	"testing"
)

func TestAPlaceIsReadFromWhatTheLauncherSets(t *testing.T) {
	torchrun := "RANK=3 WORLD_SIZE=4 LOCAL_RANK=1 LOCAL_WORLD_SIZE=2 MASTER_ADDR=10.0.0.1 MASTER_PORT=1234 TORCHELASTIC_RUN_ID=abc " +
		"TORCHELASTIC_RESTART_COUNT=2 TORCHELASTIC_USE_AGENT_STORE=True"
	for environ, want := range map[string]Place{
		torchrun:                            {Rank: 3, Size: 4, LocalRank: 1, LocalSize: 2, Address: "10.0.0.1", Port: 1234, StoreServed: true, Attempt: 2, Job: "abc", From: "torchrun"},
		"RANK=0 WORLD_SIZE=2 MASTER_ADDR=a": {Rank: 0, Size: 2, LocalSize: 1, Address: "a", Port: DefaultPort, From: "the environment"},
		"SLURM_PROCID=5 SLURM_STEP_NUM_TASKS=7 SLURM_LOCALID=1 SLURM_NODEID=1 SLURM_STEP_TASKS_PER_NODE=4,3 SLURM_STEP_NODELIST=n[08-09] SLURM_JOB_ID=70012": {
			Rank: 5, Size: 7, LocalRank: 1, LocalSize: 3, Address: "n08", Port: DefaultPort + 12, Job: "70012", From: "srun"},
		"SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=2 SLURM_JOB_NODELIST=x,y MASTER_PORT=7 MASTER_ADDR=z": {Rank: 0, Size: 2, LocalSize: 1, Address: "z", Port: 7, From: "srun"},
		"OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_RANK=1 OMPI_COMM_WORLD_LOCAL_SIZE=2 PMIX_NAMESPACE=p": {
			Rank: 1, Size: 2, LocalRank: 1, LocalSize: 2, Address: "127.0.0.1", Port: DefaultPort, Job: "p", From: "mpirun"},
		"RANK=1 WORLD_SIZE=2 LOCAL_RANK=1 MASTER_ADDR=::1": {Rank: 1, Size: 2, LocalRank: 1, LocalSize: 2, Address: "::1", Port: DefaultPort, From: "the environment"},
		"OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_RANK=0 OMPI_COMM_WORLD_LOCAL_SIZE=2 SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=1": {
			Size: 2, LocalSize: 2, Address: "127.0.0.1", Port: DefaultPort, From: "mpirun"},
		"RANK=0 WORLD_SIZE=1": {Size: 1, LocalSize: 1, Port: DefaultPort, From: "the environment"},
		"RANK=1 WORLD_SIZE=2 LOCAL_RANK=1 LOCAL_WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=5 TORCHELASTIC_RUN_ID=nproc-X": {
			Rank: 1, Size: 2, LocalRank: 1, LocalSize: 2, Address: "127.0.0.1", Port: 5, Job: "nproc-X", From: "-nproc"},
	} {
		if got, err := Find(strings.Fields(environ)); err != nil || got == nil || *got != want {
			t.Errorf("%s: %+v, %v, want %+v", environ, got, err, want)
		}
	}
}

func TestWhoIsStartedByNoLauncherHasNoPlace(t *testing.T) {
	for _, environ := range []string{"", "HOME=/root", "SLURM_PROCID=0 SLURM_NTASKS=4"} { // the last in a batch script, outside of srun
		if p, err := Find(strings.Fields(environ)); p != nil || err != nil {
			t.Errorf("%s: %v, %v", environ, p, err)
		}
	}
}

func TestABadEnvironmentIsNamed(t *testing.T) {
	for environ, want := range map[string]string{
		"RANK=0":                                                            "WORLD_SIZE: ",
		"WORLD_SIZE=2":                                                      "RANK: ",
		"RANK=x WORLD_SIZE=2 MASTER_ADDR=a":                                 "RANK: want a whole number",
		"RANK=2 WORLD_SIZE=2 MASTER_ADDR=a":                                 "rank 2 of 2",
		"RANK=0 WORLD_SIZE=2":                                               "MASTER_ADDR: ",
		"RANK=0 WORLD_SIZE=2 MASTER_ADDR=[::1]":                             "MASTER_ADDR: want the name or address",
		"RANK=0 WORLD_SIZE=2 MASTER_ADDR=0.0.0.0":                           "MASTER_ADDR: want the name or address",
		"RANK=0 WORLD_SIZE=2 MASTER_ADDR=a MASTER_PORT=0":                   "MASTER_PORT: ",
		"RANK=0 WORLD_SIZE=0 MASTER_ADDR=a":                                 "0 processes",
		"RANK=1 WORLD_SIZE=2 MASTER_ADDR=a LOCAL_RANK=-1":                   "LOCAL_RANK: ",
		"RANK=1 WORLD_SIZE=2 MASTER_ADDR=a LOCAL_RANK=1 LOCAL_WORLD_SIZE=1": "local rank 1 of 1",
		"SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=2":                             "SLURM_STEP_NODELIST: ",
		"SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=2 SLURM_STEP_NODELIST=n[":      "SLURM_STEP_NODELIST: ",
		"SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=2 SLURM_STEP_NODELIST=n SLURM_STEP_TASKS_PER_NODE=2 SLURM_NODEID=1":  "SLURM_STEP_TASKS_PER_NODE",
		"OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_LOCAL_RANK=1 OMPI_COMM_WORLD_LOCAL_SIZE=2": "MASTER_ADDR: ",
		"OMPI_COMM_WORLD_SIZE=4": "OMPI_COMM_WORLD_RANK: ",
	} {
		var e *Error
		if _, err := Find(strings.Fields(environ)); !errors.As(err, &e) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", environ, err, want)
		}
	}
}

func TestSlurmsListsOfHosts(t *testing.T) {
	for list, want := range map[string]string{"a": "a", "a,b": "a", "n[3-5]": "n3", "n[003,7-9]": "n003", "r[1-2]n[04-05]": "r1n04", "n[1]-ib,x": "n1-ib"} {
		if got, err := firstNode(list); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %s", list, got, err, want)
		}
	}
}

func TestSlurmsTasksOfANode(t *testing.T) {
	for node, want := range map[string]int{"0": 4, "1": 4, "2": 3, "3": 1} {
		if got, err := tasksOfNode("4(x2),3,1", node); got != want || err != nil {
			t.Errorf("node %s: %d, %v, want %d", node, got, err, want)
		}
	}
}
