<?php
// A session with the client that openapi-generator makes: `FOLDER URL TOKEN`. Prints what it reads, as
// JSON.
use OpenAPI\Client\Api;
use OpenAPI\Client\ApiException;
use OpenAPI\Client\Configuration;
use OpenAPI\Client\Model;

[, $folder, $url, $token] = $argv;
require '/usr/share/php/GuzzleHttp/autoload.php';
spl_autoload_register(function ($class) use ($folder) {
    $file = "$folder/lib/" . strtr(substr($class, strlen('OpenAPI\\Client\\')), '\\', '/') . '.php';
    if (str_starts_with($class, 'OpenAPI\\Client\\') && is_file($file)) {
        require $file;
    }
});
set_error_handler(function (int $level, string $message, string $file, int $line) {
    if ($level !== E_DEPRECATED && $level !== E_USER_DEPRECATED) {
        throw new ErrorException($message, 0, $level, $file, $line);
    }
});

$config = (new Configuration())->setHost($url)->setAccessToken($token);
$http = new GuzzleHttp\Client();
$domains = new Api\DomainsApi($http, $config);
$users = new Api\UsersApi($http, $config);
$aliases = new Api\AliasesApi($http, $config);
$ldif = new Api\LDIFApi($http, $config);

$domains->domainCreate('example.com', domain_create: new Model\DomainCreate(['quota' => 2048]));
try {
    $domains->domainCreate('example.com');
    throw new LogicException('created twice');
} catch (ApiException $refused) {
    $again = $refused->getResponseObject()->getMsg();
}

$ann = ['name' => 'Ann', 'password' => 'correct horse', 'quota' => 512];
$users->userCreate('ann@example.com', new Model\UserCreate($ann));
$changed = ['quota' => 768, 'aliases' => ['a@example.com'], 'language' => '', 'telephone_number' => []];
$users->userUpdate('ann@example.com', user_update: new Model\UserUpdate($changed));
$read = $users->userGet('ann@example.com')->getData();
$params = $users->userParams('ann@example.com')->getData();
$views = $users->usersListParams('example.com', fields: ['quota'])->getData();
// What is read can be written back.
$back = new Model\UserUpdate(['quota' => $params->getQuota(), 'aliases' => $params->getAliases()]);
$users->userUpdate('ann@example.com', user_update: $back);

$team = ['name' => 'Team', 'members' => ['ann@example.com', 'bob@example.org']];
$aliases->aliasCreate('team@example.com', alias_create: new Model\AliasCreate($team));
$listed = $users->usersList('example.com', fields: ['cn', 'mailQuota'])->getData();
$text = $ldif->ldifUser('ann@example.com')->getData();

$users->userDelete('ann@example.com');
$domains->domainDelete('example.com');
echo json_encode([
    'refused' => $again,
    'read' => ['quota' => $read->getMailQuota(), 'aliases' => $read->getShadowAddress()],
    'params' => ['quota' => $params->getQuota(), 'aliases' => $params->getAliases()],
    'quotas' => array_map(fn ($view) => $view->getQuota(), $views),
    'users' => $listed,
    'ldif' => $text,
]);
