// What `dist/` needs beside the compiled code.
import { chmodSync, cpSync } from 'node:fs';

cpSync('pom.xml', 'dist/pom.xml');
cpSync('package.json', 'dist/package.json');
cpSync('schemas/proto', 'dist/schemas/proto', { recursive: true });
chmodSync('dist/cli/main.js', 0o755);
