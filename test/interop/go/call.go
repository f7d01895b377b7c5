package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// The pause between two calls.
const pace = 250 * time.Millisecond

// call talks to the server until the SVIDs of both sides have rotated, then checks what must be refused.
func call(ctx context.Context, address string) error {
	certificates, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return fmt.Errorf("X509Source: %w", err)
	}
	defer certificates.Close()
	tokens, err := workloadapi.NewJWTSource(ctx)
	if err != nil {
		return fmt.Errorf("JWTSource: %w", err)
	}
	defer tokens.Close()

	own, theirs := map[string]bool{}, map[string]bool{}
	calls := 0
	for len(own) <= rotations || len(theirs) <= rotations {
		svid, err := certificates.GetX509SVID()
		if err != nil {
			return err
		}
		if svid.ID != callerID {
			return fmt.Errorf("got the identity %q, want %q", svid.ID, callerID)
		}
		own[svid.Certificates[0].SerialNumber.String()] = true
		serial, err := exchange(ctx, address, certificates, tokens)
		if err != nil {
			return fmt.Errorf("call %d: %w", calls+1, err)
		}
		theirs[serial] = true
		calls++
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %d calls only %d and %d certificates were seen", calls, len(own), len(theirs))
		case <-time.After(pace):
		}
	}
	if err := refusals(ctx, address, certificates, tokens); err != nil {
		return err
	}
	fmt.Printf("interop ok go: %d mTLS calls with JWT-SVIDs, %d and %d rotations, 4 refusals\n", calls, len(own)-1, len(theirs)-1)
	return nil
}

// exchange makes one call and returns the serial number of the certificate the server showed.
func exchange(ctx context.Context, address string, certificates *workloadapi.X509Source, tokens *workloadapi.JWTSource) (string, error) {
	token, err := tokens.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	if err != nil {
		return "", fmt.Errorf("fetch of a JWT-SVID: %w", err)
	}
	connection, err := dial(ctx, address, certificates, serverID)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	fmt.Fprintln(connection, token.Marshal())
	reply, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		return "", err
	}
	if got := strings.TrimSpace(reply); got != callerID.String() {
		return "", fmt.Errorf("the server answered %q", got)
	}
	return connection.ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
}

func dial(ctx context.Context, address string, certificates *workloadapi.X509Source, peer spiffeid.ID) (*tls.Conn, error) {
	dialer := tls.Dialer{Config: tlsconfig.MTLSClientConfig(certificates, certificates, tlsconfig.AuthorizeID(peer))}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return connection.(*tls.Conn), nil
}

// refusals makes the mistakes that must be noticed, by the library here or by the agent there.
func refusals(ctx context.Context, address string, certificates *workloadapi.X509Source, tokens *workloadapi.JWTSource) error {
	if _, err := dial(ctx, address, certificates, spiffeid.RequireFromPath(trustDomain, "/someone/else")); err == nil {
		return fmt.Errorf("a server with another SPIFFE ID was accepted")
	}
	token, err := tokens.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	if err != nil {
		return err
	}
	if _, err := workloadapi.ValidateJWTSVID(ctx, token.Marshal(), audience); err != nil {
		return fmt.Errorf("the agent refused its own token: %w", err)
	}
	if _, err := workloadapi.ValidateJWTSVID(ctx, token.Marshal(), "someone-else"); err == nil {
		return fmt.Errorf("a token for another audience was accepted")
	}
	if _, err := workloadapi.ValidateJWTSVID(ctx, token.Marshal()+"x", audience); err == nil {
		return fmt.Errorf("a token with a changed signature was accepted")
	}
	if _, err := tokens.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience, Subject: serverID}); err == nil {
		return fmt.Errorf("the identity of another workload was handed out")
	}
	return nil
}
