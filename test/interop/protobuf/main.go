// Command protobuf-peer prints objects as Kubernetes' own types write them, one a line: the kind, the JSON form, and the
// protobuf form in base64. Their values follow from a seed.
//
//	protobuf-peer SEED COUNT
//
// Of each kind the first object has every field, the second has every pointer set and every value zero, the third has
// nothing; COUNT more have some of it.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"reflect"
	"strconv"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/intstr"
)

type line struct {
	Kind     string          `json:"kind"`
	JSON     json.RawMessage `json:"json"`
	Protobuf []byte          `json:"protobuf"`
}

var kinds = []func() runtime.Object{
	func() runtime.Object { return &corev1.Pod{} },
	func() runtime.Object { return &corev1.Node{} },
	func() runtime.Object { return &corev1.Namespace{} },
	func() runtime.Object { return &corev1.Event{} },
	func() runtime.Object { return &corev1.ServiceAccount{} },
	func() runtime.Object { return &corev1.Binding{} },
	func() runtime.Object { return &coordinationv1.Lease{} },
	func() runtime.Object { return &storagev1.CSINode{} },
	func() runtime.Object { return &policyv1.Eviction{} },
	func() runtime.Object { return &metav1.DeleteOptions{} },
	func() runtime.Object { return &authorizationv1.SelfSubjectAccessReview{} },
	func() runtime.Object { return &authorizationv1.SubjectAccessReview{} },
	func() runtime.Object { return &authorizationv1.LocalSubjectAccessReview{} },
	func() runtime.Object { return &authorizationv1.SelfSubjectRulesReview{} },
	func() runtime.Object { return &authenticationv1.SelfSubjectReview{} },
	func() runtime.Object { return &authenticationv1.TokenReview{} },
}

// filler puts values into the fields of an object.
type filler struct {
	*rand.Rand
	// presence is how likely a field gets a value.
	presence float64
	// zeros says that what has a value has a zero one.
	zeros bool
}

func (f filler) absent() bool { return f.Float64() >= f.presence }

func (f filler) text() string {
	texts := []string{"web", "", "zwölf Zeichen", "\ufeffline\n", "\x00", "2026-11-26T00:00:00Z"}
	return texts[f.Intn(len(texts))] + strconv.Itoa(f.Intn(1000))
}

func (f filler) special(value reflect.Value) bool {
	var made any
	switch value.Interface().(type) {
	case metav1.Time:
		made = metav1.Time{}
		if !f.zeros {
			made = metav1.NewTime(time.Unix(f.Int63n(1<<33)-1<<31, f.Int63n(1e9)))
		}
	case metav1.MicroTime:
		made = metav1.MicroTime{}
		if !f.zeros {
			made = metav1.NewMicroTime(time.Unix(f.Int63n(1<<33)-1<<31, f.Int63n(1e9)))
		}
	case resource.Quantity:
		made = resource.Quantity{}
		if !f.zeros {
			made = resource.MustParse([]string{"100m", "1Gi", "1.5", "-3", "12e6", "7u"}[f.Intn(6)])
		}
	case intstr.IntOrString:
		made = intstr.IntOrString{}
		if !f.zeros {
			made = []intstr.IntOrString{intstr.FromInt32(int32(f.Intn(70000) - 5)), intstr.FromString("http")}[f.Intn(2)]
		}
	case metav1.FieldsV1:
		made = metav1.FieldsV1{}
		if !f.zeros {
			made = metav1.FieldsV1{Raw: []byte(`{"f:spec":{"f:containers":{"k:{\"name\":\"main\"}":{".":{}}}}}`)}
		}
	default:
		return false
	}
	value.Set(reflect.ValueOf(made))
	return true
}

func (f filler) fill(value reflect.Value) {
	if f.special(value) {
		return
	}
	switch value.Kind() {
	case reflect.Struct:
		for at := range value.NumField() {
			if value.Type().Field(at).Type == reflect.TypeOf(metav1.TypeMeta{}) || f.absent() {
				continue
			}
			f.fill(value.Field(at))
		}
	case reflect.Pointer:
		value.Set(reflect.New(value.Type().Elem()))
		f.fill(value.Elem())
	case reflect.Slice:
		value.Set(reflect.MakeSlice(value.Type(), 1+f.Intn(2), 2))
		for at := range value.Len() {
			f.fill(value.Index(at))
		}
	case reflect.Map:
		value.Set(reflect.MakeMap(value.Type()))
		for _, name := range []string{"cpu", "__proto__", ""}[:1+f.Intn(3)] {
			one := reflect.New(value.Type().Elem()).Elem()
			f.fill(one)
			value.SetMapIndex(reflect.ValueOf(name).Convert(value.Type().Key()), one)
		}
	case reflect.String:
		if !f.zeros {
			value.SetString(f.text())
		}
	case reflect.Bool:
		value.SetBool(!f.zeros)
	case reflect.Int32:
		if !f.zeros {
			value.SetInt(int64(int32(f.Uint32())))
		}
	case reflect.Int64:
		if !f.zeros {
			// What JSON keeps whole.
			value.SetInt(f.Int63n(1<<53) - 1<<52)
		}
	default:
		panic(fmt.Sprintf("no value for a %s", value.Type()))
	}
}

func run(seed int64, count int) error {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		authenticationv1.AddToScheme, authorizationv1.AddToScheme, coordinationv1.AddToScheme,
		corev1.AddToScheme, policyv1.AddToScheme, storagev1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	encoder := protobuf.NewSerializer(scheme, scheme)
	out := json.NewEncoder(os.Stdout)
	source := rand.New(rand.NewSource(seed))
	fillers := []filler{{source, 1, false}, {source, 1, true}, {source, 0, false}}
	for range count {
		fillers = append(fillers, filler{source, 0.2 + 0.7*source.Float64(), source.Intn(5) == 0})
	}
	for _, kind := range kinds {
		for _, f := range fillers {
			object := kind()
			f.fill(reflect.ValueOf(object).Elem())
			known, _, err := scheme.ObjectKinds(object)
			if err != nil {
				return err
			}
			object.GetObjectKind().SetGroupVersionKind(known[0])
			text, err := json.Marshal(object)
			if err != nil {
				return err
			}
			var body bytes.Buffer
			if err := encoder.Encode(object, &body); err != nil {
				return err
			}
			if err := out.Encode(line{known[0].Kind, text, body.Bytes()}); err != nil {
				return err
			}
		}
	}
	return nil
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintf(os.Stderr, "usage: %s SEED COUNT\n", os.Args[0])
		os.Exit(2)
	}
	seed, err := strconv.ParseInt(os.Args[1], 10, 64)
	if err == nil {
		var count int
		if count, err = strconv.Atoi(os.Args[2]); err == nil {
			err = run(seed, count)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
