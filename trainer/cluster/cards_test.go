package cluster

import (
	"net"
	"testing"
)

func TestNCCLIsForProcessesThatHaveACardEach(t *testing.T) {
	one, other := seat{Machine: "m", Card: "0000:3b:00.0"}, seat{Machine: "m", Card: "0000:af:00.0"}
	elsewhere := seat{Machine: "n", Card: one.Card}
	without := seat{Machine: "n", Card: "cuda:0", Why: "no libtorch for it"}
	for name, test := range map[string]struct {
		seats []seat
		nccl  bool
		why   string
	}{
		"alone":                    {[]seat{one}, true, ""},
		"two cards of one machine": {[]seat{one, other}, true, ""},
		"two machines":             {[]seat{one, other, elsewhere}, true, ""},
		"CPUs":                     {[]seat{{}, {}}, false, ""},
		"a card and a CPU":         {[]seat{one, {}}, false, "rank 1 computes on its CPU"},
		"one card for two":         {[]seat{other, one, one}, false, "ranks 1 and 2 share the card 0000:3b:00.0"},
		"one that cannot":          {[]seat{one, without}, false, "rank 1 does not use NCCL: no libtorch for it"},
		"the first reason counts":  {[]seat{without, without, one, one}, false, "rank 0 does not use NCCL: no libtorch for it"},
	} {
		if nccl, why := choose(test.seats); nccl != test.nccl || why != test.why {
			t.Errorf("%s: %v, %q, want %v, %q", name, nccl, why, test.nccl, test.why)
		}
	}
}

func TestTheNetworkOfAnAddressIsFound(t *testing.T) {
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, i := range all {
		addresses, err := i.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok && n.IP.IsLoopback() {
				tried++
				if got := interfaceOf(n.IP); got != i.Name {
					t.Errorf("%v is of %q, want %q", n.IP, got, i.Name)
				}
			}
		}
	}
	if tried == 0 {
		t.Skip("this machine has no address of its own to itself")
	}
	if got := interfaceOf(net.ParseIP("192.0.2.1")); got != "" { // of documentation (RFC 5737)
		t.Errorf("an address that is nobody's is of %q", got)
	}
}
