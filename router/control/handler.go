package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"
)

const (
	maxProfile   = 1 << 20 // bytes, as of a file
	writeTimeout = 10 * time.Second
)

// A problem is the body of every answer that is an error.
type problem struct {
	Error string `json:"error"`
}

// NewHandler answers for s. The events are those of feed; nil: there are none.
func NewHandler(s Source, feed *Feed) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, req *http.Request) {
		status, err := s.Status(req.Context())
		conclude(w, status, err)
	})
	mux.HandleFunc("GET /routes", func(w http.ResponseWriter, req *http.Request) {
		all, err := s.Routes(req.Context())
		if err != nil {
			conclude(w, nil, err)
			return
		}
		writeRoutes(w, all, req.URL.Query().Has("all"))
	})
	mux.HandleFunc("GET /route", func(w http.ResponseWriter, req *http.Request) {
		flow, err := ParseFlow(req.URL.Query())
		if err != nil {
			answer(w, http.StatusBadRequest, problem{err.Error()})
			return
		}
		e, err := s.Explain(req.Context(), flow)
		conclude(w, e, err)
	})
	if feed != nil {
		mux.Handle("GET /events", feed)
	}
	if a, ok := s.(Applier); ok {
		mux.HandleFunc("POST /apply", func(w http.ResponseWriter, req *http.Request) { apply(w, req, a) })
	}
	if in, ok := s.(Instance); ok {
		mux.HandleFunc("POST /reload", func(w http.ResponseWriter, req *http.Request) {
			ssh, err := sshOf(req)
			if err != nil {
				answer(w, http.StatusBadRequest, problem{err.Error()})
				return
			}
			patient(w)
			done, err := in.Reload(req.Context(), ssh)
			conclude(w, done, err)
		})
		mux.HandleFunc("POST /stop", func(w http.ResponseWriter, req *http.Request) {
			patient(w)
			conclude(w, struct{}{}, in.Stop(req.Context()))
		})
	}
	return mux
}

// sshOf returns the far ends that the SSH session which asks may have.
func sshOf(req *http.Request) (ssh []netip.Addr, err error) {
	for _, text := range req.URL.Query()["ssh"] {
		if text == "" {
			continue
		}
		a, err := parseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("ssh: %w", err)
		}
		ssh = append(ssh, a)
	}
	return ssh, nil
}

// dryRunOf reports whether a change is only to be foretold: ?dry-run, or
// ?dry-run=true. A parameter that is misspelt must not mean the change itself.
func dryRunOf(req *http.Request) (bool, error) {
	q := req.URL.Query()
	for name := range q {
		if name != "dry-run" && name != "ssh" {
			return false, fmt.Errorf("%q is no parameter: want dry-run, ssh", name)
		}
	}
	if value := q.Get("dry-run"); value != "" && value != "true" {
		return false, fmt.Errorf("dry-run: %q: want true, or no value", value)
	}
	return q.Has("dry-run"), nil
}

func apply(w http.ResponseWriter, req *http.Request, a Applier) {
	dry, err := dryRunOf(req)
	if err != nil {
		answer(w, http.StatusBadRequest, problem{err.Error()})
		return
	}
	ssh, err := sshOf(req)
	if err != nil {
		answer(w, http.StatusBadRequest, problem{err.Error()})
		return
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxProfile))
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		answer(w, http.StatusRequestEntityTooLarge, problem{fmt.Sprintf("longer than %d bytes: not a profile", tooLong.Limit)})
		return
	}
	if err != nil {
		answer(w, http.StatusBadRequest, problem{"the profile did not arrive: " + err.Error()})
		return
	}
	patient(w)
	done, err := a.Apply(req.Context(), string(text), ApplyOptions{dry, ssh})
	conclude(w, done, err)
}

// patient lifts the server's time limits from one exchange: a change takes the
// time that it takes. (A read that times out would end the request's context.)
func patient(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{}) // where there is no limit, none is lifted
	_ = c.SetWriteDeadline(time.Time{})
}

func conclude(w http.ResponseWriter, v any, err error) {
	var refused *RefusedError
	switch {
	case err == nil:
		answer(w, http.StatusOK, v)
	case errors.As(err, &refused):
		answer(w, http.StatusUnprocessableEntity, problem{err.Error()})
	default:
		answer(w, http.StatusInternalServerError, problem{err.Error()})
	}
}

// answer writes an answer. However long the question took, its reader has
// writeTimeout.
func answer(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, `{"error":"answer cannot be encoded"}`, http.StatusInternalServerError)
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n'))
}
