package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

const (
	audience  = "interop"
	rotations = 3
)

// refused expects that the agent has no identity for this program.
func refused(ctx context.Context) error {
	_, noX509 := workloadapi.FetchX509SVID(ctx)
	_, noJWT := workloadapi.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	for _, err := range []error{noX509, noJWT} {
		if err == nil || !strings.Contains(err.Error(), "no identity issued") {
			return fmt.Errorf("an unregistered program was not refused: %v", err)
		}
	}
	return nil
}

// check expects this identity, follows it through several rotations, and fetches and validates JWT-SVIDs.
func check(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	id, err := spiffeid.FromString(text)
	if err != nil {
		return err
	}
	if err := checkTokens(ctx, id); err != nil {
		return err
	}
	if err := followRotations(ctx, id); err != nil {
		return err
	}
	fmt.Printf("interop ok go: %d rotations with X509Source, JWT-SVIDs fetched and validated, 6 refusals\n", rotations)
	return nil
}

func followRotations(ctx context.Context, id spiffeid.ID) error {
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return fmt.Errorf("X509Source: %w", err)
	}
	defer source.Close()
	rotated := watchRotations(ctx, source)
	for range rotations {
		svid, err := source.GetX509SVID()
		if err != nil {
			return err
		}
		got, _, err := x509svid.Verify(svid.Certificates, source)
		if err != nil || got != id {
			return fmt.Errorf("the identity %q does not verify as %q: %w", got, id, err)
		}
		select {
		case <-rotated:
		case <-ctx.Done():
			return errors.New("the certificate was not rotated in time")
		}
	}
	return nil
}

func checkTokens(ctx context.Context, id spiffeid.ID) error {
	source, err := workloadapi.NewJWTSource(ctx)
	if err != nil {
		return fmt.Errorf("JWTSource: %w", err)
	}
	defer source.Close()
	svid, err := source.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	if err != nil {
		return fmt.Errorf("fetch of a JWT-SVID: %w", err)
	}
	token := svid.Marshal()
	validated, err := jwtsvid.ParseAndValidate(token, source, []string{audience})
	if err != nil || validated.ID != id {
		return fmt.Errorf("the token does not verify as %q: %w", id, err)
	}
	if seen, err := workloadapi.ValidateJWTSVID(ctx, token, audience); err != nil || seen.ID != id {
		return fmt.Errorf("the agent refused its own token: %w", err)
	}
	if _, err := jwtsvid.ParseAndValidate(token, source, []string{"someone-else"}); err == nil {
		return errors.New("a token for another audience was accepted here")
	}
	if _, err := workloadapi.ValidateJWTSVID(ctx, token, "someone-else"); err == nil {
		return errors.New("a token for another audience was accepted by the agent")
	}
	if _, err := workloadapi.ValidateJWTSVID(ctx, token[:len(token)-8]+"AAAAAAAA", audience); err == nil {
		return errors.New("a token with a changed signature was accepted")
	}
	other := spiffeid.RequireFromPath(id.TrustDomain(), "/other")
	if _, err := source.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience, Subject: other}); err == nil {
		return errors.New("the identity of another workload was handed out")
	}
	return nil
}
