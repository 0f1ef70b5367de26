package main

// Hosts on this machine: network namespaces, whose counters count nothing else, and a link between two of them that has a rate.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
)

// hosts are namespaces. Two are joined by a device called wire.
type hosts []string

// wire is the device, in both.
const wire = "wire"

func address(host int) string { return fmt.Sprintf("10.98.0.%d", host+1) }

var made atomic.Int64 // namespaces so far

// newHosts makes namespaces: one with nothing but a loopback device, or two that are joined. free is to be called whatever the error.
func newHosts(ctx context.Context, n int) (h hosts, free func(), err error) {
	free = func() {
		for _, name := range h { // whatever has ended the bench
			exec.Command("ip", "netns", "del", name).Run()
		}
	}
	if os.Getuid() != 0 {
		return nil, free, errors.New("it makes network namespaces, which needs root")
	}
	for range n {
		name := fmt.Sprintf("frugal-bench-%d-%d", os.Getpid(), made.Add(1))
		if _, err := output(ctx, "ip", "netns", "add", name); err != nil {
			return h, free, err
		}
		h = append(h, name)
		if _, err := output(ctx, "ip", "-n", name, "link", "set", "lo", "up"); err != nil {
			return h, free, err
		}
	}
	if n < 2 {
		return h, free, nil
	}
	if _, err := output(ctx, "ip", "link", "add", wire, "netns", h[0], "type", "veth", "peer", "name", wire, "netns", h[1]); err != nil {
		return h, free, err
	}
	for i, name := range h {
		if _, err := output(ctx, "ip", "-n", name, "addr", "add", address(i)+"/24", "dev", wire); err != nil {
			return h, free, err
		}
		if _, err := output(ctx, "ip", "-n", name, "link", "set", wire, "up"); err != nil {
			return h, free, err
		}
	}
	return h, free, nil
}

// limit gives both directions of the link a rate in Mbit/s; 0: as much as it carries.
func (h hosts) limit(ctx context.Context, rate float64) error {
	for _, name := range h {
		if rate == 0 {
			if queues, err := output(ctx, "tc", "-n", name, "qdisc", "show", "dev", wire); err != nil || !strings.Contains(queues, "tbf") {
				if err != nil {
					return err
				}
				continue
			}
			if _, err := output(ctx, "tc", "-n", name, "qdisc", "del", "dev", wire, "root"); err != nil {
				return err
			}
			continue
		}
		if _, err := output(ctx, "tc", "-n", name, "qdisc", "replace", "dev", wire, "root", "tbf", "rate", fmt.Sprintf("%gmbit", rate), "burst", "256kb", "latency", "400ms"); err != nil {
			return err
		}
	}
	return nil
}

// loopback is the bytes that have crossed a host's loopback device.
func (h hosts) loopback(ctx context.Context) (int64, error) {
	text, err := output(ctx, "ip", "netns", "exec", h[0], "cat", "/proc/net/dev")
	if err != nil {
		return 0, err
	}
	return receivedBy("lo", text)
}

// receivedBy reads the bytes that a device has received from /proc/net/dev.
func receivedBy(device, text string) (bytes int64, err error) {
	for line := range strings.Lines(text) {
		if name, counters, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && name == device {
			if _, err := fmt.Sscan(counters, &bytes); err != nil {
				return 0, fmt.Errorf("/proc/net/dev: %q: %w", strings.TrimSpace(line), err)
			}
			return bytes, nil
		}
	}
	return 0, fmt.Errorf("/proc/net/dev has no %s", device)
}

// output is what a command says; its error, too, is one line.
func output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, lastLine(out))
	}
	return string(out), nil
}

func lastLine(log []byte) string {
	text := strings.TrimSpace(string(log))
	return text[strings.LastIndex(text, "\n")+1:]
}
