// Livereplay serves the live page without a training, for scripts/check_live.mjs and for working on the page: what comes in
// on standard input is appended to DIR/metrics.jsonl, line by line; the page ends with the input.
//
//	go run ./scripts/livereplay [-listen HOST:PORT] DIR < output/demo-pt/metrics.jsonl
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"frugal/trainer/monitor"
	"frugal/trainer/monitor/live"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address of the page")
	flag.Parse()
	if err := replay(*listen, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func replay(listen, dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	metrics, err := os.OpenFile(filepath.Join(dir, "metrics.jsonl"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	defer metrics.Close()
	server, err := live.Open(live.Options{Listen: listen, OutputDir: dir})
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Println(server.URL())
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if _, err := fmt.Fprintln(metrics, lines.Text()); err != nil {
			return err
		}
		if err := server.Write(monitor.Record{}); err != nil {
			return err
		}
	}
	return lines.Err()
}
