import { powerShellString } from './quoting.js';
import {
  bundleName,
  held,
  libpqSettings,
  looksUp,
  type Recipe,
  type RecipeInput,
  systemRoots,
  until,
} from './recipe-input.js';

/** The variables of libpq (manual, 32.15). Windows PowerShell 5.1 mangles quotes in arguments, so psql gets none. */
const variables: Readonly<Record<string, string>> = {
  host: 'PGHOST',
  hostaddr: 'PGHOSTADDR',
  port: 'PGPORT',
  dbname: 'PGDATABASE',
  user: 'PGUSER',
  sslmode: 'PGSSLMODE',
  application_name: 'PGAPPNAME',
};

const token = ({ secret, signing, user }: RecipeInput): string =>
  secret !== undefined || signing === undefined
    ? powerShellString(secret ?? '')
    : `(aws rds generate-db-auth-token --hostname ${powerShellString(signing.host)} --port ${signing.port} --region ${powerShellString(signing.region)} --username ${powerShellString(user)})`;

const address = (host: string): string =>
  `([System.Net.Dns]::GetHostAddresses(${powerShellString(host)}) | Where-Object AddressFamily -eq InterNetwork | Select-Object -First 1).IPAddressToString`;

/** For Windows PowerShell 5.1 and PowerShell 7, on any system. */
export const psqlPowerShell = (input: RecipeInput): Recipe => {
  const set = Object.entries(libpqSettings(input)).map(
    ([keyword, value]) => `$env:${variables[keyword] ?? keyword} = ${powerShellString(value)}`,
  );
  return {
    client: 'psql-powershell',
    text: [
      "$ErrorActionPreference = 'Stop'",
      "$usher = Join-Path $HOME '.usher'",
      'New-Item -ItemType Directory -Force $usher | Out-Null',
      `$env:PGSSLROOTCERT = Join-Path $usher ${powerShellString(bundleName(input))}`,
      `Invoke-WebRequest -UseBasicParsing -TimeoutSec 30 -Uri ${powerShellString(input.tls.caBundleUrl)} -OutFile $env:PGSSLROOTCERT`,
      ...set,
      ...(looksUp(input) ? [`$env:PGHOSTADDR = ${address(input.host)}`] : []),
      `$env:PGPASSWORD = ${token(input)}`,
      'try { psql } finally { Remove-Item Env:PGPASSWORD }',
    ].join('\n'),
    notes: [
      until(input),
      `The ${held(input)} reaches psql through its environment, never its arguments. PSReadLine keeps lines with "password" or "token" out of its history.`,
      'It sets the variables of libpq for the rest of this PowerShell; close the window to be rid of them.',
      ...systemRoots(input),
    ],
  };
};
