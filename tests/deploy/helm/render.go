// Renders a chart as `helm template` does, where Helm itself is not installed: Go's templates, sprig and Helm's few own
// functions. Usage: render CHART NAME VALUES…, later values go before earlier ones.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	yaml2 "gopkg.in/yaml.v2"
	"gopkg.in/yaml.v3"
)

type values = map[string]interface{}

func main() {
	chart, name := os.Args[1], os.Args[2]
	given := read(filepath.Join(chart, "values.yaml"))
	for _, file := range os.Args[3:] {
		merge(given, read(file))
	}
	about := read(filepath.Join(chart, "Chart.yaml"))
	data := values{
		"Values":  given,
		"Release": values{"Name": name, "Namespace": "default", "Service": "Helm"},
		"Chart":   values{"Name": about["name"], "Version": about["version"], "AppVersion": about["appVersion"]},
	}
	all := template.New("chart").Option("missingkey=zero")
	functions := sprig.TxtFuncMap()
	functions["include"] = func(name string, data interface{}) (string, error) {
		var out bytes.Buffer
		err := all.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	functions["toYaml"] = func(value interface{}) (string, error) {
		out, err := yaml2.Marshal(value)
		return strings.TrimSuffix(string(out), "\n"), err
	}
	all.Funcs(functions)
	files, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	check(err)
	sort.Strings(files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		check(err)
		template.Must(all.New(file).Parse(string(text)))
	}
	for _, file := range files {
		if strings.HasPrefix(filepath.Base(file), "_") {
			continue
		}
		var out bytes.Buffer
		check(all.ExecuteTemplate(&out, file, data))
		fmt.Printf("---\n%s\n", out.String())
	}
}

func read(file string) values {
	text, err := os.ReadFile(file)
	check(err)
	found := values{}
	check(yaml.Unmarshal(text, &found))
	return found
}

func merge(into, from values) {
	for key, value := range from {
		inner, ok := value.(values)
		if before, too := into[key].(values); ok && too {
			merge(before, inner)
		} else {
			into[key] = value
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
