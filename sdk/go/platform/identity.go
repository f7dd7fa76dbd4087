package platform

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
)

// The files of an identity, as `wardein operator issue` makes them (deploy/OPERATORS.md, "The files of an identity").
const (
	certificateFile    = "operator.pem"
	keyFile            = "operator.key"
	infrastructureFile = "infrastructure.pem"
	descriptionFile    = "operator.json"

	defaultPort = "7443"
	// Many times what each has.
	maxFile = 64 * 1024
)

// identity is what such a directory holds.
type identity struct {
	target string
	// For telling it from another.
	certificates, key, roots []byte
	config                   *tls.Config
}

// readIdentity reads a directory; endpoint, unless it is empty, takes the place of the one that it names.
func readIdentity(directory, endpoint string) (*identity, error) {
	i := &identity{}
	for name, into := range map[string]*[]byte{certificateFile: &i.certificates, keyFile: &i.key, infrastructureFile: &i.roots} {
		content, err := readFile(filepath.Join(directory, name), name == keyFile)
		if err != nil {
			return nil, err
		}
		*into = content
	}
	if bytes.Contains(i.key, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----")) {
		return nil, fmt.Errorf("the key in %s is under a passphrase: keep it without one (openssl pkcs8 -topk8 -nocrypt)",
			filepath.Join(directory, keyFile))
	}
	own, err := tls.X509KeyPair(i.certificates, i.key)
	if err != nil {
		return nil, fmt.Errorf("certificate and key in %s: %w", directory, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(i.roots) {
		return nil, fmt.Errorf("%s has no certificate in PEM", filepath.Join(directory, infrastructureFile))
	}
	i.config = &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: roots,
		// Also to an authority that knows nothing of it: it then says so, and not that a certificate is missing.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil },
	}
	if endpoint == "" {
		if endpoint, err = describedEndpoint(filepath.Join(directory, descriptionFile)); err != nil {
			return nil, err
		}
	}
	i.target, err = target(endpoint)
	return i, err
}

func (i *identity) equal(other *identity) bool {
	return i.target == other.target && bytes.Equal(i.certificates, other.certificates) && bytes.Equal(i.key, other.key) &&
		bytes.Equal(i.roots, other.roots)
}

// target makes HOST:PORT of https://HOST or https://HOST:PORT.
func target(endpoint string) (string, error) {
	parsed, err := url.Parse(endpoint)
	if err != nil || parsed.Scheme != "https" || parsed.Hostname() == "" || parsed.User != nil ||
		(parsed.Path != "" && parsed.Path != "/") || parsed.RawQuery != "" || parsed.Fragment != "" || parsed.Port() == "0" {
		return "", fmt.Errorf("endpoint %q is not https://HOST or https://HOST:PORT", endpoint)
	}
	port := parsed.Port()
	if port == "" {
		port = defaultPort
	}
	return net.JoinHostPort(parsed.Hostname(), port), nil
}

func describedEndpoint(path string) (string, error) {
	content, err := readFile(path, false)
	if err != nil {
		return "", err
	}
	var about struct {
		Endpoint string `json:"endpoint"`
	}
	if err := json.Unmarshal(content, &about); err != nil || about.Endpoint == "" {
		return "", fmt.Errorf("%s does not say where the authority answers; name its endpoint", path)
	}
	return about.Endpoint, nil
}

func readFile(path string, isSecret bool) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	about, err := file.Stat()
	if err != nil {
		return nil, err
	}
	// Windows has no such modes.
	if mode := about.Mode().Perm(); isSecret && runtime.GOOS != "windows" && mode&0o077 != 0 {
		return nil, fmt.Errorf("%s is open to others (mode %o); run: chmod 600 %s", path, mode, path)
	}
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(content) > maxFile {
		err = errors.New(path + " is too large")
	}
	return content, err
}
