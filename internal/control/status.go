package control

import "multihop/router/control"

// What the socket's HTTP says is that of package router/control.
type (
	Source   = control.Source
	Applier  = control.Applier
	Instance = control.Instance
	Status   = control.Status
	Host     = control.Host
	Resolver = control.Resolver
	Reloaded = control.Changes
	Event    = control.Event

	ApplyOptions = control.ApplyOptions
	RefusedError = control.RefusedError
	Feed         = control.Feed
)

// NewFeed returns a feed without streams.
func NewFeed() *Feed { return control.NewFeed() }
