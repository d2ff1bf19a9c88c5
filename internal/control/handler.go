package control

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"multihop/router"
)

// A Source is what is asked. Its methods must be safe for concurrent use. They
// may wait until there is an answer.
type Source interface {
	Status(context.Context) (Status, error)
	Explain(context.Context, router.Flow) (router.Explanation, error)
}

// An Instance can besides be told what to do.
type Instance interface {
	Source

	// Reload reads the configuration again and puts it in force. After an error
	// the one before stays in force.
	Reload(context.Context) (Reloaded, error)

	// Stop ends the instance, and returns once everything is undone, or cannot
	// be.
	Stop(context.Context) error
}

// A problem is the body of every answer that is an error.
type problem struct {
	Error string `json:"error"`
}

// NewHandler answers for s. What changes something is answered only if s is an
// Instance.
func NewHandler(s Source) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, req *http.Request) {
		status, err := s.Status(req.Context())
		conclude(w, status, err)
	})
	mux.HandleFunc("GET /route", func(w http.ResponseWriter, req *http.Request) {
		dst, err := netip.ParseAddr(req.URL.Query().Get("dst"))
		if err != nil {
			answer(w, http.StatusBadRequest, problem{fmt.Sprintf("dst: %v", err)})
			return
		}
		e, err := s.Explain(req.Context(), router.Flow{Dst: dst.Unmap()})
		conclude(w, e, err)
	})
	if in, ok := s.(Instance); ok {
		mux.HandleFunc("POST /reload", func(w http.ResponseWriter, req *http.Request) {
			patient(w)
			done, err := in.Reload(req.Context())
			conclude(w, done, err)
		})
		mux.HandleFunc("POST /stop", func(w http.ResponseWriter, req *http.Request) {
			patient(w)
			conclude(w, struct{}{}, in.Stop(req.Context()))
		})
	}
	return mux
}

// patient lifts the server's time limits from one exchange: a change takes the
// time that it takes. (A read that times out would end the request's context.)
func patient(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{}) // where there is no limit, none is lifted
	_ = c.SetWriteDeadline(time.Time{})
}

func conclude(w http.ResponseWriter, v any, err error) {
	if err != nil {
		answer(w, http.StatusInternalServerError, problem{err.Error()})
		return
	}
	answer(w, http.StatusOK, v)
}

func answer(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, `{"error":"answer cannot be encoded"}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n'))
}
