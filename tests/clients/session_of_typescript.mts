// A session with openapi-fetch and the types that openapi-typescript makes: `URL TOKEN`. Prints what it
// reads, as JSON.
import createClient from "openapi-fetch";
import type { components, paths } from "./generated.ts";

declare const process: { argv: string[] };

const [url, token] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });

type Failure = components["schemas"]["Failure"];

// Without the bare files and lines, which were not asked for.
type Json<T> = Exclude<T, string>;

async function done<T>(answer: Promise<{ data?: T; error?: Failure }>): Promise<Json<T>> {
  const { data, error } = await answer;
  if (data === undefined || typeof data === "string") throw new Error(JSON.stringify(error));
  return data as Json<T>;
}

const domain = { params: { path: { domain: "example.com" } } };
const mail = (address: string) => ({ params: { path: { mail: address } } });
const ann = mail("ann@example.com");

await done(client.POST("/api/domain/{domain}", { ...domain, body: { quota: 2048 } }));
const again = await client.POST("/api/domain/{domain}", { ...domain, body: {} });

await done(client.POST("/api/user/{mail}", { ...ann, body: { name: "Ann", password: "correct horse", quota: 512 } }));
await done(
  client.PUT("/api/user/{mail}", {
    ...ann,
    body: { quota: 768, aliases: ["a@example.com"], language: "", telephoneNumber: [] },
  }),
);
const user = (await done(client.GET("/api/user/{mail}", ann)))._data;
const params = (await done(client.GET("/api/user/{mail}/params", ann)))._data;
const views = await done(
  client.GET("/api/users/{domain}/params", { params: { ...domain.params, query: { fields: ["quota"] } } }),
);
// What is read can be written back.
await done(client.PUT("/api/user/{mail}", { ...ann, body: params }));

const team = { name: "Team", members: ["ann@example.com", "bob@example.org"] };
await done(client.POST("/api/alias/{mail}", { ...mail("team@example.com"), body: team }));
const users = await done(
  client.GET("/api/users/{domain}", {
    params: { ...domain.params, query: { fields: ["cn", "mailQuota"] } },
    querySerializer: { array: { style: "form", explode: false } },
  }),
);
const names = await done(
  client.GET("/api/users/{domain}", { params: { ...domain.params, query: { email_only: "yes" } } }),
);
const ldif = await done(client.GET("/api/ldif/user/{mail}", ann));

await done(client.DELETE("/api/user/{mail}", ann));
await done(client.DELETE("/api/domain/{domain}", domain));
console.log(
  JSON.stringify({
    refused: again.error?._msg,
    read: { quota: user.mailQuota, aliases: user.shadowAddress },
    params: { quota: params.quota, aliases: params.aliases },
    quotas: Object.fromEntries(Object.entries(views._data).map(([mail, one]) => [mail, one.quota])),
    users: users._data,
    names: names._data,
    ldif: ldif._data,
  }),
);
