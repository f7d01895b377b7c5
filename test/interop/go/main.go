// One program for both sides of a call: "serve" answers over mTLS, "call" calls it through several rotations.
// Each side gets its identity from the agent at SPIFFE_ENDPOINT_SOCKET with the go-spiffe library.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

var (
	trustDomain = spiffeid.RequireTrustDomainFromString("example.org")
	callerID    = spiffeid.RequireFromPath(trustDomain, "/go/caller")
	serverID    = spiffeid.RequireFromPath(trustDomain, "/go/server")
)

const (
	audience = "go-server"
	// How often the SVIDs of both sides must change while calls go on.
	rotations = 3
	limit     = 3 * time.Minute
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "interop failed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == "serve" {
		return serve(ctx, args[1])
	}
	if len(args) == 2 && args[0] == "call" {
		return call(ctx, args[1])
	}
	return fmt.Errorf("usage: interop serve|call ADDRESS")
}
