// Command reflector-peer follows the pods of a namespace as client-go's controllers do, and prints what it is told, a JSON
// object a line; when its standard input ends it prints what it holds and ends.
//
//	reflector-peer SERVER NAMESPACE
//
// The environment variable KUBE_FEATURE_WatchListClient=false makes it list before it watches, as client-go did before
// 0.35.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// line is what is printed. What the Reflector does to its store: "replaced" (by a list), "put", "deleted". What handlers of
// an informer hear of it: "added", "updated", "removed", "lost" (a DeletedFinalStateUnknown: no event told of its end).
// At the end: "held".
type line struct {
	Type    string   `json:"type"`
	Version string   `json:"version,omitempty"`
	Object  *object  `json:"object,omitempty"`
	Objects []object `json:"objects,omitempty"`
}

type object struct {
	Name    string `json:"name"`
	UID     string `json:"uid"`
	Version string `json:"version"`
}

var (
	out   = json.NewEncoder(os.Stdout)
	mutex sync.Mutex
)

func tell(said line) {
	mutex.Lock()
	defer mutex.Unlock()
	if err := out.Encode(said); err != nil {
		os.Exit(1)
	}
}

func objectOf(value any) *object {
	accessor, err := meta.Accessor(value)
	if err != nil {
		panic(err)
	}
	return &object{accessor.GetName(), string(accessor.GetUID()), accessor.GetResourceVersion()}
}

func objectsOf(values []any) []object {
	objects := make([]object, 0, len(values))
	for _, value := range values {
		objects = append(objects, *objectOf(value))
	}
	return objects
}

// queue tells what the Reflector puts into it.
type queue struct{ *cache.DeltaFIFO }

func (q queue) Add(value any) error {
	tell(line{Type: "put", Object: objectOf(value)})
	return q.DeltaFIFO.Add(value)
}

func (q queue) Update(value any) error {
	tell(line{Type: "put", Object: objectOf(value)})
	return q.DeltaFIFO.Update(value)
}

func (q queue) Delete(value any) error {
	tell(line{Type: "deleted", Object: objectOf(value)})
	return q.DeltaFIFO.Delete(value)
}

func (q queue) Replace(values []any, version string) error {
	tell(line{Type: "replaced", Version: version, Objects: objectsOf(values)})
	return q.DeltaFIFO.Replace(values, version)
}

// process applies what the queue gives for one object to the informer's store.
func process(store cache.Store, deltas cache.Deltas) error {
	for _, delta := range deltas {
		if delta.Type == cache.Deleted {
			if unknown, ok := delta.Object.(cache.DeletedFinalStateUnknown); ok {
				tell(line{Type: "lost", Object: objectOf(unknown.Obj)})
			} else {
				tell(line{Type: "removed", Object: objectOf(delta.Object)})
			}
			if err := store.Delete(delta.Object); err != nil {
				return err
			}
			continue
		}
		known, exists, err := store.Get(delta.Object)
		if err != nil {
			return err
		}
		now := objectOf(delta.Object)
		switch {
		case !exists:
			tell(line{Type: "added", Object: now})
		// A list brings what is known again: handlers do not hear of that.
		case delta.Type != cache.Replaced || *objectOf(known) != *now:
			tell(line{Type: "updated", Object: now})
		}
		if err := store.Update(delta.Object); err != nil {
			return err
		}
	}
	return nil
}

func newClient(server string) (*rest.RESTClient, error) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	return rest.RESTClientFor(&rest.Config{
		Host:    server,
		APIPath: "/api",
		ContentConfig: rest.ContentConfig{
			GroupVersion:         &corev1.SchemeGroupVersion,
			NegotiatedSerializer: serializer.NewCodecFactory(scheme).WithoutConversion(),
			// As controllers ask that prefer protobuf: the server answers in what it has.
			AcceptContentTypes: "application/vnd.kubernetes.protobuf,application/json",
			ContentType:        "application/json",
		},
		QPS: -1,
	})
}

func run(server, namespace string) error {
	client, err := newClient(server)
	if err != nil {
		return err
	}
	store := cache.NewStore(cache.DeletionHandlingMetaNamespaceKeyFunc)
	controller := cache.New(&cache.Config{
		Queue: queue{cache.NewDeltaFIFOWithOptions(cache.DeltaFIFOOptions{
			KnownObjects:          store,
			EmitDeltaTypeReplaced: true,
		})},
		ListerWatcher: cache.NewListWatchFromClient(client, "pods", namespace, fields.Everything()),
		ObjectType:    &corev1.Pod{},
		Process: func(popped any, _ bool) error {
			deltas, ok := popped.(cache.Deltas)
			if !ok {
				return fmt.Errorf("the queue gave a %T", popped)
			}
			return process(store, deltas)
		},
	})
	running, stop := context.WithCancel(context.Background())
	defer stop()
	go controller.RunWithContext(running)
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	tell(line{Type: "held", Objects: objectsOf(store.List())})
	return nil
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintf(os.Stderr, "usage: %s SERVER NAMESPACE\n", os.Args[0])
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
