package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// serve accepts mTLS from the caller's SPIFFE ID alone, reads one JWT-SVID a connection and answers with its subject.
func serve(ctx context.Context, address string) error {
	certificates, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return fmt.Errorf("X509Source: %w", err)
	}
	defer certificates.Close()
	keys, err := workloadapi.NewJWTSource(ctx)
	if err != nil {
		return fmt.Errorf("JWTSource: %w", err)
	}
	defer keys.Close()

	config := tlsconfig.MTLSServerConfig(certificates, certificates, tlsconfig.AuthorizeID(callerID))
	listener, err := tls.Listen("tcp", address, config)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { listener.Close() })
	fmt.Println("serving")
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer connection.Close()
			fmt.Fprintln(connection, answer(connection, keys))
		}()
	}
}

func answer(connection net.Conn, keys *workloadapi.JWTSource) string {
	line, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		return "refused: " + err.Error()
	}
	svid, err := jwtsvid.ParseAndValidate(strings.TrimSpace(line), keys, []string{audience})
	if err != nil {
		return "refused: " + err.Error()
	}
	return svid.ID.String()
}
