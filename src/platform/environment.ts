/** The environment of the process. The only line of Usher that reads it. */
export const environment = (): Readonly<Record<string, string | undefined>> => process.env;
