package control

import (
	"context"
	"net/netip"

	"multihop/router"
)

// A Source is what is asked. Its methods must be safe for concurrent use. They
// may wait until there is an answer.
type Source interface {
	Status(context.Context) (Status, error)
	Routes(context.Context) ([]router.RouteStatus, error)
	Explain(context.Context, router.Flow) (router.Explanation, error)
}

// An Applier can besides be given a configuration.
type Applier interface {
	// Apply puts the profile, as the text of its file would be, in force, or says
	// what that would do. After an error what was before is in force; it is a
	// *RefusedError if the profile is wrong.
	Apply(ctx context.Context, profile string, o ApplyOptions) (Changes, error)
}

// ApplyOptions are the query of /apply.
type ApplyOptions struct {
	DryRun bool         // only say what would change
	SSH    []netip.Addr // as of Instance.Reload
}

// An Instance can besides be told what to do.
type Instance interface {
	Source

	// Reload reads the configuration again and puts it in force. After an error
	// the one before stays in force. ssh are the far ends that the SSH session
	// which asks may have, none of which must be cut; empty: there is no session.
	Reload(ctx context.Context, ssh []netip.Addr) (Changes, error)

	// Stop ends the instance, and returns once everything is undone, or cannot
	// be.
	Stop(context.Context) error
}

// A RefusedError says that what was asked for cannot be: the question is wrong,
// not the instance.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return e.Err.Error() }
func (e *RefusedError) Unwrap() error { return e.Err }

// OfRouter returns a Source that asks a router.
func OfRouter(r *router.Router) Source { return embedded{r} }

type embedded struct{ r *router.Router }

func (e embedded) Status(context.Context) (Status, error) { return Status{Status: e.r.Status()}, nil }

func (e embedded) Routes(context.Context) ([]router.RouteStatus, error) { return e.r.Routes(), nil }

func (e embedded) Explain(_ context.Context, f router.Flow) (router.Explanation, error) {
	return e.r.Explain(f), nil
}
