package cluster

// Cards. Where each process computes on a card of its own, what is on the cards goes from one to the other by NCCL. All else goes by Gloo.

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"frugal/torch"
)

// seat is where a process computes.
type seat struct {
	Machine string `json:"-"`    // its kernel's: containers of one machine share its cards
	Card    string `json:"card"` // its place in the machine; "": the process computes on a CPU
	Why     string `json:"why"`  // why the process does not use NCCL; "": it can
}

// JoinCards has all processes say on which device they compute, and joins them by NCCL where each has a card of its own. said is what was
// found, for a person; "" where nobody has a card.
func (w *World) JoinCards(device torch.Device) (said string, err error) {
	text, err := json.Marshal(ownSeat(device))
	if err != nil {
		return "", err
	}
	all, err := w.AllGather("seat", text)
	if err != nil {
		return "", err
	}
	seats := make([]seat, len(all))
	for rank, text := range all {
		if err := json.Unmarshal(text, &seats[rank]); err != nil {
			return "", fmt.Errorf("rank %d does not say where it computes: %w", rank, err)
		}
		seats[rank].Machine = w.peers[rank].Boot
	}
	nccl, why := choose(seats)
	switch {
	case nccl:
	case why == "":
		return "", nil
	default:
		return "Gloo takes what is on them through the host's memory: " + why, nil
	}
	name := w.useOwnNetwork()
	if w.cards, err = torch.NewNCCLGroup(w.store.WithPrefix("nccl/"), w.Rank, w.Size, device, collective); err == nil {
		err = w.tryCards(device)
	}
	if err != nil {
		var lost *LostError
		if errors.As(err, &lost) || errors.As(w.watch.waitLost(silence+3*beat), &lost) {
			return "", lost
		}
		return "", fmt.Errorf("cards: NCCL does not connect them; with %s=0 they train without it: %w", variable, err)
	}
	return "NCCL takes what is on them from one to the other, through " + name, nil
}

// variable, set to 0, keeps a process, and so all, from NCCL.
const variable = "FRUGAL_NCCL"

// tryCards makes the connections, which are made when they are first used, and looks whether they work.
func (w *World) tryCards(device torch.Device) error {
	scope := torch.OpenScope()
	defer scope.Close()
	numbers := make([]float32, 1<<16)
	for i := range numbers {
		numbers[i] = float32(w.Rank + 1)
	}
	t := torch.FromFloat32s(numbers, []int64{int64(len(numbers))}, device)
	if err := w.AllReduce(t).Wait(); err != nil {
		return err
	}
	want := float32(w.Size * (w.Size + 1) / 2)
	for i, x := range t.Float32s() {
		if x != want {
			return fmt.Errorf("number %d of a sum is %v, not %v", i, x, want)
		}
	}
	return nil
}

func ownSeat(device torch.Device) (s seat) {
	if device.Type == torch.CPUType {
		return s
	}
	s.Card = device.String()
	if os.Getenv(variable) == "0" {
		s.Why = variable + "=0"
		return s
	}
	if ok, reason := torch.NCCLAvailable(); !ok {
		s.Why = reason
		return s
	}
	id, err := torch.BusID(device)
	if err != nil {
		s.Why = err.Error()
		return s
	}
	s.Card = id
	return s
}

// choose says whether NCCL is to be used, and if not and there are cards, why. NCCL refuses a card that two processes share.
func choose(seats []seat) (nccl bool, why string) {
	without, taken := -1, map[seat]int{}
	for rank, s := range seats {
		if s.Card == "" {
			without = rank
			continue
		}
		if s.Why != "" && why == "" {
			why = fmt.Sprintf("rank %d does not use NCCL: %s", rank, s.Why)
		}
		place := seat{Machine: s.Machine, Card: s.Card}
		if first, is := taken[place]; is && why == "" {
			why = fmt.Sprintf("ranks %d and %d share the card %s", first, rank, s.Card)
		} else {
			taken[place] = rank
		}
	}
	switch {
	case len(taken) == 0:
		return false, ""
	case without >= 0:
		return false, fmt.Sprintf("rank %d computes on its CPU", without)
	}
	return why == "", why
}

// useOwnNetwork has NCCL use the network of this process's address, where its variables do not say otherwise. NCCL would take the first
// that it finds.
func (w *World) useOwnNetwork() (name string) {
	if name := os.Getenv("NCCL_SOCKET_IFNAME"); name != "" {
		return name
	}
	name = interfaceOf(net.ParseIP(w.address))
	if name == "" {
		return "the network that it chooses"
	}
	os.Setenv("NCCL_SOCKET_IFNAME", "="+name)
	if os.Getenv("NCCL_SOCKET_FAMILY") == "" {
		family := "AF_INET"
		if net.ParseIP(w.address).To4() == nil {
			family = "AF_INET6"
		}
		os.Setenv("NCCL_SOCKET_FAMILY", family)
	}
	return name
}

// interfaceOf is the network interface that has the address; "" when none has.
func interfaceOf(address net.IP) string {
	all, err := net.Interfaces()
	if err != nil {
		return ""
	}
	for _, i := range all {
		addresses, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok && n.IP.Equal(address) {
				return i.Name
			}
		}
	}
	return ""
}

// HasCards says whether tensors on the cards go from one to the other, and not through the host's memory.
func (w *World) HasCards() bool { return w.cards != nil }

// abortCards has this process's card give up what it waits for: nothing on it would end any more.
func (w *World) abortCards() {
	if w.cards == nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.cards.Abort() // its failure changes nothing
	}()
	select {
	case <-done:
	case <-time.After(patience):
	}
}
