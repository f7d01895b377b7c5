package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// How long one call may take.
const limit = 10 * time.Second

// call opens a new connection each time, and expects one SPIFFE ID there and its own in the answer.
func call(ctx context.Context, address string, expected spiffeid.ID, count int, interval time.Duration) error {
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return fmt.Errorf("X509Source: %w", err)
	}
	defer source.Close()
	var rotations atomic.Int64
	go func() {
		for range watchRotations(ctx, source) {
			rotations.Add(1)
		}
	}()
	svid, err := source.GetX509SVID()
	if err != nil {
		return err
	}
	dialer := tls.Dialer{Config: tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeID(expected))}

	failed, peers := 0, map[string]bool{}
	start := time.Now()
	for i := range count {
		time.Sleep(time.Until(start.Add(time.Duration(i) * interval)))
		peer, err := exchange(ctx, &dialer, address, svid.ID)
		if err != nil {
			failed++
			fmt.Println("failed:", err)
			continue
		}
		peers[peer] = true
	}
	fmt.Printf("calls=%d failed=%d rotations=%d peer_certificates=%d\n", count, failed, rotations.Load(), len(peers))
	if failed > 0 {
		return errors.New("there were failed calls")
	}
	return nil
}

// exchange makes one connection and returns the serial number of the certificate the server showed.
func exchange(ctx context.Context, dialer *tls.Dialer, address string, own spiffeid.ID) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	if err := connection.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return "", err
	}
	reply, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		return "", err
	}
	if got := strings.TrimSpace(reply); got != own.String() {
		return "", fmt.Errorf("the server answered %q", got)
	}
	return connection.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
}
