package main

import (
	"context"
	"crypto/tls"
	"fmt"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// serve admits one SPIFFE ID over mTLS, and answers each connection with a line that holds the ID of the peer.
func serve(ctx context.Context, address string, allowed spiffeid.ID) error {
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return fmt.Errorf("X509Source: %w", err)
	}
	defer source.Close()
	go func() {
		for range watchRotations(ctx, source) {
			fmt.Println("rotated")
		}
	}()
	config := tlsconfig.MTLSServerConfig(source, source, tlsconfig.AuthorizeID(allowed))
	listener, err := tls.Listen("tcp", address, config)
	if err != nil {
		return err
	}
	fmt.Println("serving")
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer connection.Close()
			if err := answer(ctx, connection.(*tls.Conn)); err != nil {
				fmt.Println("refused:", err)
			}
		}()
	}
}

func answer(ctx context.Context, connection *tls.Conn) error {
	if err := connection.HandshakeContext(ctx); err != nil {
		return err
	}
	peer, err := spiffetls.PeerIDFromConnectionState(connection.ConnectionState())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(connection, peer)
	return err
}
