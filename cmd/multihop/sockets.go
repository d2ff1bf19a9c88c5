package main

import (
	"errors"
	"maps"

	"multihop/internal/uapi"
	"multihop/router"
)

// syncUAPI makes each hop of a plan, and nothing else, an interface for wg.
func (in *instance) syncUAPI(plan *router.Plan) error {
	gone := maps.Clone(in.uapi)
	for _, h := range plan.Hops {
		delete(gone, h.Name)
	}
	var errs []error
	for name, s := range gone {
		errs = append(errs, s.Close())
		delete(in.uapi, name)
	}
	for _, h := range plan.Hops {
		if in.uapi[h.Name] != nil {
			continue
		}
		s, err := uapi.Listen(uapi.Dir, uapi.Name(in.name, h.Name), wgHop{in, h.Name}, in.log)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		in.uapi[h.Name] = s
		in.serving.Go(s.Serve) // until it is closed
	}
	return errors.Join(errs...)
}

// closeUAPI removes every socket of syncUAPI.
func (in *instance) closeUAPI() error {
	var errs []error
	for _, s := range in.uapi {
		errs = append(errs, s.Close())
	}
	in.serving.Wait()
	return errors.Join(errs...)
}
