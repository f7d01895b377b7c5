// A workload in Go, which gets its identity from the agent at SPIFFE_ENDPOINT_SOCKET with the go-spiffe library.
// Its jobs are those of every language; see the README of the folder above.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Println("interop failed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	job := strings.Join(args[:min(1, len(args))], "")
	switch {
	case job == "refused" && len(args) == 1:
		return refused(ctx)
	case job == "check" && len(args) == 2:
		return check(ctx, args[1])
	case job == "serve" && len(args) == 3:
		allowed, err := spiffeid.FromString(args[2])
		if err != nil {
			return err
		}
		return serve(ctx, args[1], allowed)
	case job == "call" && len(args) == 5:
		expected, err := spiffeid.FromString(args[2])
		count, badCount := strconv.Atoi(args[3])
		interval, badInterval := strconv.Atoi(args[4])
		if err := errors.Join(err, badCount, badInterval); err != nil {
			return err
		}
		return call(ctx, args[1], expected, count, time.Duration(interval)*time.Millisecond)
	}
	return errors.New("usage: interop refused | check ID | serve ADDRESS ALLOWED_ID | call ADDRESS EXPECTED_ID COUNT INTERVAL_MS")
}

// watchRotations reports each certificate that follows the first one, until the context ends.
func watchRotations(ctx context.Context, source *workloadapi.X509Source) <-chan struct{} {
	rotated := make(chan struct{}, 1)
	go func() {
		last := ""
		for {
			if svid, err := source.GetX509SVID(); err == nil {
				now := string(svid.Certificates[0].Raw)
				if last != "" && now != last {
					rotated <- struct{}{}
				}
				last = now
			}
			if err := source.WaitUntilUpdated(ctx); err != nil {
				return
			}
		}
	}()
	return rotated
}
